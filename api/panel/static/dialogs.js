// Dialogs that ask first: without this they are popovers, with it nothing behind them can be reached.
export function dialogs(root) {
  root.addEventListener("click", (event) => {
    const button = event.target.closest?.("button[popovertarget]");
    const dialog = button && root.getElementById(button.getAttribute("popovertarget"));
    if (!(dialog instanceof HTMLDialogElement)) return;
    event.preventDefault();
    if (button.getAttribute("popovertargetaction") === "hide") {
      dialog.close();
    } else {
      dialog.removeAttribute("popover");
      dialog.showModal();
    }
  });
}
