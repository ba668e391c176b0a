"""/admin: what an admin does at run time. One file for each thing that is administered, and the same frame for all.

To add a route (api/app.py says how routes are made at all):

    class NewGroup(msgspec.Struct, kw_only=True):
        name: Name

    @routes.post("/admin/group/save")
    @require("admin")
    @document({200: Done[GroupShown]}, body=NewGroup, errors=(409,))
    async def save() -> Response:
        new = await read(NewGroup)

        def unit(act: Act) -> Group:
            made = groups.create(act.connection, new.name, act.now)
            act.note(f"group:{made.id}", after={"name": made.name})
            return made

        return done(shown(await change("group.save", unit)))

- Answers are `done(value)`, documented as `Done[Shown]` with a TypedDict `Shown`; lists are `Listed[Shown]`, made by
  `listing(asked, unit, shown)` from what `query(Paging)`, or a Struct that extends it with filters, says: the unit has
  `hub.store.listing.listed` read the asked `Part`. Empty parameters count as left out.
- Errors are raised (hub/errors.py): api/errors.py gives them this path's shape, `{"success": false, "data": message}`.
- Ids are `Id`. Money is `Amount` in bodies, `money.amount(value, "field")` in between, `money.shown(value)` in answers.
  What may be left out and what may be null differ: `field: X | None | UnsetType = UNSET`.
- Whatever changes something is a unit for `change` (api/acts.py): one transaction with what it notes for the audit,
  which holds no secret. It runs in the store's thread, so it has `act.by`, and no request.
- `@require("admin")` lets in keys of the role `admin`, and users' keys with that scope. Where something gives a right,
  `keyring.guard(act.by.key, key)` refuses that they give more than they have.
- A key that has an owner counts as its owner: money, limits, groups and grants go by `key.payer`.
"""
