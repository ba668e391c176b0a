// Improves what works without it; each module looks for what it improves.
import { copying } from "./copy.js";
import { dialogs } from "./dialogs.js";
import { forms } from "./forms.js";
import { follow } from "./live.js";
import { plots, pointing } from "./plots.js";
import { times } from "./times.js";
import { toasts } from "./toasts.js";

function improve(part) {
  copying(part);
  plots(part);
  times(part);
}

improve(document);
dialogs(document);
pointing();
toasts(document);
forms(document);
follow(document, improve);
