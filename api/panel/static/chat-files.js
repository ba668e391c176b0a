// Files to be sent: chosen, dropped or pasted; one that is too large is refused before it travels.
const carries = (event) => event.dataTransfer?.types.includes("Files");

// Dropped beside the room, it would be opened in place of the page.
document.addEventListener("dragover", (event) => {
  if (!carries(event) || event.defaultPrevented) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = "none";
});
document.addEventListener("drop", (event) => carries(event) && event.preventDefault());

export function attaching(room, form) {
  const input = form.querySelector("[data-files]");
  const list = form.querySelector("[data-pending]");
  const refused = form.querySelector("[data-refused]");
  const said = room.dataset;
  let files = [];
  let depth = 0;

  function add(more) {
    refused.hidden = true;
    for (const file of more) {
      if (file.size > said.limit) refuse(said.tooLarge.replace("{name}", file.name));
      else if (files.length >= said.most) refuse(said.tooMany);
      else files.push(file);
    }
    show();
  }

  function refuse(why) {
    refused.textContent = why;
    refused.hidden = false;
  }

  function show() {
    list.hidden = !files.length;
    list.replaceChildren(...files.map(chip));
  }

  function chip(file) {
    const item = document.createElement("li");
    item.className = "chip";
    item.innerHTML = `<span></span><button class="button quiet small" type="button">×</button>`;
    item.querySelector("span").textContent = file.name;
    const button = item.querySelector("button");
    button.setAttribute("aria-label", said.remove.replace("{name}", file.name));
    button.addEventListener("click", () => {
      files = files.filter((one) => one !== file);
      show();
    });
    return item;
  }

  function hovers(change) {
    depth = Math.max(0, depth + change);
    room.classList.toggle("dropping", depth > 0);
  }
  room.addEventListener("dragenter", (event) => carries(event) && hovers(1));
  room.addEventListener("dragleave", (event) => carries(event) && hovers(-1));
  room.addEventListener("dragover", (event) => carries(event) && event.preventDefault());
  room.addEventListener("drop", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    hovers(-depth);
    add(event.dataTransfer.files);
  });
  form.addEventListener("paste", (event) => {
    if (!event.clipboardData.files.length) return;
    event.preventDefault();
    add(event.clipboardData.files);
  });
  input.addEventListener("change", () => {
    add(input.files);
    input.value = "";
  });

  return {
    add,
    all: () => files,
    take() {
      const taken = files;
      files = [];
      show();
      return taken;
    },
  };
}
