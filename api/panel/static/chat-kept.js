// What the browser keeps of a talk: for whoever is logged in, and for nobody else who sits before it.
export function storing(name) {
  const place = () => `bothub ${document.body.dataset.who} ${name()}`;
  return {
    get: () => localStorage.getItem(place()),
    set: (value) => (value ? put(place(), value) : localStorage.removeItem(place())),
  };
}

function put(place, value) {
  try {
    localStorage.setItem(place, value);
  } catch (full) {
    console.info(full.message); // the page has it as long as it is open
  }
}

// Messages that could not be sent, of all rooms, the first one first.
export function leaving(said) {
  const kept = storing(() => "unsent");
  const read = () => JSON.parse(kept.get() ?? "[]");
  const write = (all) => kept.set(all.length && JSON.stringify(all));
  const others = (what) => read().filter((one) => one.key !== what.key);
  return {
    // A conversation that was about to begin may have begun with them: they go there, whatever begins now.
    here() {
      said.room = read().find((one) => said.fresh && one.fresh === said.fresh)?.room ?? said.room;
      return read().filter((one) => one.room === said.room);
    },
    add({ key, text, press, names }, never) {
      const { room, fresh } = said;
      write([...others({ key }), { key, text, press, names, room, fresh, never: names.length ? said.filesAgain : never }]);
    },
    remove: (what) => write(others(what)),
    // The room has an address now, at which they are found.
    arrived: () => write(read().map((one) => (one.room === said.room ? { ...one, fresh: undefined } : one))),
  };
}
