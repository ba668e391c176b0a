// Improves what works without it; each module looks for what it improves.
import { copying } from "./copy.js";
import { dialogs } from "./dialogs.js";
import { follow } from "./live.js";
import { plots } from "./plots.js";
import { times } from "./times.js";

copying(document);
dialogs(document);
plots();
times(document);
follow(document, (part) => {
  copying(part);
  times(part);
});
