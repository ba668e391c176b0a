// The commands, offered while a word is written that begins like one.
export function commands(form, text) {
  const list = form.querySelector("[role=listbox]");
  const all = [...list.children];
  let at = 0;

  const fitting = () => all.filter((one) => !one.hidden);

  function show() {
    const word = /^\/[a-z]*$/.test(text.value) ? text.value : null;
    for (const one of all) one.hidden = word === null || !one.dataset.command.startsWith(word);
    list.hidden = !fitting().length || fitting().some((one) => one.dataset.command === word && fitting().length === 1);
    mark(0);
  }

  function mark(to) {
    const shown = fitting();
    at = shown.length ? (to + shown.length) % shown.length : 0;
    all.forEach((one) => one.setAttribute("aria-selected", String(one === shown[at])));
    if (list.hidden || !shown.length) text.removeAttribute("aria-activedescendant");
    else text.setAttribute("aria-activedescendant", shown[at].id);
  }

  function take(one) {
    text.value = one.dataset.command;
    close();
    text.focus();
  }

  function close() {
    list.hidden = true;
    text.removeAttribute("aria-activedescendant");
  }

  // Whether the key was for the list.
  function key(event) {
    if (list.hidden) return false;
    const does = {
      ArrowDown: () => mark(at + 1),
      ArrowUp: () => mark(at - 1),
      Enter: () => take(fitting()[at]),
      Tab: () => take(fitting()[at]),
      Escape: close,
    }[event.key];
    if (does) {
      event.preventDefault();
      does();
    }
    return Boolean(does);
  }

  text.addEventListener("input", show);
  list.addEventListener("mousedown", (event) => {
    const one = event.target.closest("[data-command]");
    event.preventDefault();
    if (one) take(one);
  });
  return { key, close };
}
