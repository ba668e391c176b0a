"""The panel: web pages below /panel by which people see the hub, run it and talk to it.

How to add a page, say `keys`:

1. `api/panel/keys.py`, whose `page` says what the navigation shows, and who may see it:

       page = Page("keys", N_("API Keys"), icon="key", admin=True)

       @page.shows("keys.html", live=("list",))
       async def state(view: View) -> dict[str, Any]:
           now = view.hub.clock()
           part = Part(limit=50)
           found = await view.hub.store.read(lambda connection: keyring.listed(connection, Wanted(), now, part))
           return {"accounts": found.items}

       @page.post("/<int:id>/revoke")
       async def revoke(view: View, id: int) -> Response:
           await change("key.delete", lambda act: end(act, keyring.account(act.connection, id, act.now)))
           return view.done(view.say("The key is revoked."))

   `shows` makes GET /panel/keys of what `state` returns. It takes a rule below that (`rule="/<int:id>"`, whose
   parameters `state` then has too), and the blocks of the template that are sent again whenever they changed. What
   many viewers look at is read once: `await view.shared("name", unit)`. A user sees their own: filter by
   `view.key.payer` unless `view.is_admin`; hiding it in the template is not enough, and a POST asks again.
   `page.get` and `page.post` are for everything else. They return a response: `view.render(template, ...)`,
   `view.done(sentence)` (go back with a message), `view.go(path)`, `view.json(value)` for a module. A form's fields
   are `await view.form()`; where it would do harm to do it twice, the form is `ui.form(..., once=true)` and
   `await view.once()` the id to do it under. What hub/errors.py has is raised, and shown as a sentence:
   where a form was sent, on the page that it came from.
   A form that edits what others may edit too is `meanwhile.made_from(values)`, drawn with `ui.form(..., made=form)`,
   and asks `meanwhile.overtaken` before it saves.
2. `api/panel/templates/keys.html`, which extends `frame.html` and fills the block `main`. The parts of pages are
   macros, in `ui`: see templates/ui.html, each with an example of its use. Sentences are `_("...")`. A live block
   stands in `<div data-live="list">{% block list %}...{% endblock %}</div>`, and waits while something in it has the
   focus that has no `id` and leads nowhere (static/renew.js). No style and no script in a template: the policy forbids
   both. A module of the page's own is `static/keys.js`, named in `{% block modules %}`; it improves what works without
   it.
3. `api/panel/zh/keys.toml`, with the sentences in Chinese; tests/panel/test_words.py names those that are missing.
4. Its line in PAGES (api/panel/pages.py), at the place that it has in the navigation.

Then tests/panel/test_pages.py opens it in both languages, by both roles, on a phone and on a desk, in light and dark,
and fails for what does not fit, cannot be read aloud, or breaks the policy. `make screenshots` draws it: look at it.
What it does is tested beside it, tests/panel/test_keys.py, with the fixtures of tests/panel/conftest.py.
"""

from __future__ import annotations

from quart import Quart, Response

from api.auth import without_key


def register(app: Quart) -> None:
    """Add the panel to the app; whoever opens the hub's address in a browser is led to it."""
    from api.panel import login
    from api.panel.pages import pages
    from api.panel.view import PAGES

    app.extensions[PAGES] = pages()
    for page in pages():
        app.register_blueprint(page.routes)
    app.register_blueprint(login.routes)
    app.add_url_rule("/", "panel", _lead)


@without_key
async def _lead() -> Response:
    """What the hub's address itself shows."""
    return Response(status=303, headers={"Location": "/panel"})
