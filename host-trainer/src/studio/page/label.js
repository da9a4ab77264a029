"use strict";
// One key a class, in the order of the classes.
const KEYS = "1234567890qwertyuiop";
const UNLABELLED = "unlabelled";
// What was saved last.
let last;

// The classes' names.
const classes = () => view.classes.map(([name]) => name).filter((name) => name !== UNLABELLED);

function showClasses(state) {
  arrange($("classes"), [...classes(), UNLABELLED], (name) => {
    const button = make("button", { type: "button", title: name }, make("kbd"), make("span"), make("b"));
    button.addEventListener("click", (event) => label(name, event.shiftKey));
    return button;
  });
  const counts = new Map(view.classes);
  [...$("classes").children].forEach((button, index) => {
    const { key } = button.dataset;
    const pressed = key === UNLABELLED ? "s" : KEYS[index] ?? "";
    text(button.children[0], pressed);
    button.children[0].hidden = !pressed;
    text(button.children[1], key === UNLABELLED ? "no class" : key);
    text(button.children[2], String(counts.get(key) ?? 0));
    button.disabled = !sight.frame && chosen.size === 0;
  });
  text($("hint"), stopped
    ? "Each key saves this frame and shows the next one."
    : "Press a class's key to save the frame that you see; stop the camera to look at one for longer.");
  text($("bursting"), state.burst ? `${state.burst} frames to come` : "frames: Shift and a class's key");
  if (document.activeElement !== $("rule")) $("rule").value = state.automatic?.rule ?? "";
  const { saved, class: to } = state.automatic ?? {};
  text($("collected"), state.automatic ? `${saved} saved as ${to ?? "no class"}` : "");
  $("below").hidden = $("rule").value !== "unsure" || sight.threshold > 0;
}

// Puts what is chosen, or else the frame that is shown, into a class.
async function label(name, burst) {
  const to = name === UNLABELLED ? null : name;
  if (chosen.size > 0) return move(to);
  if (burst) return act({ do: "burst", board, count: Number($("count").value), class: to });
  const done = await act({ do: "save", board, number: sight.number, class: to });
  if (!done) return undefined;
  last = done.saved ?? last;
  flash();
  if (stopped) step();
  return done;
}

// Shows that the frame is saved.
function flash() {
  $("stage").classList.remove("saved");
  void $("stage").offsetWidth;
  $("stage").classList.add("saved");
}

async function undo() {
  if (!last) return say("There is nothing to take back.");
  const pictures = [last];
  last = undefined;
  return act({ do: "delete", pictures });
}

function automatic() {
  const rule = $("rule").value || null;
  $("below").hidden = rule !== "unsure" || sight.threshold > 0;
  const least = rule === "unsure" && !$("below").hidden ? Number($("percent").value) : null;
  return act({ do: "automatic", board, rule, percent: least, class: null });
}

$("new").addEventListener("submit", async (event) => {
  event.preventDefault();
  const name = $("name").value.trim();
  if (name && (await act({ do: "class", name }))) {
    $("name").value = "";
    $("name").blur();
  }
});
$("rule").addEventListener("change", automatic);
$("percent").addEventListener("change", automatic);

// Whether an element takes keys itself.
const writes = (element) => element.matches("input, select, textarea");

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { target } = event;
  if (event.key === "Escape") {
    target.blur();
    return chooseNone();
  }
  if (writes(target)) return;
  const digit = event.code.startsWith("Digit") ? event.code.slice(5) : event.key.toLowerCase();
  const index = KEYS.indexOf(digit);
  const name = digit.length === 1 && index >= 0 ? classes()[index] : undefined;
  const keys = {
    s: () => label(UNLABELLED, event.shiftKey),
    z: undo,
    n: () => $("name").focus(),
    Delete: removeChosen,
    Backspace: removeChosen,
    ArrowRight: () => (target.closest("#pictures") ? go(target, 1) : stopped && step()),
    ArrowLeft: () => target.closest("#pictures") && go(target, -1),
    " ": () => target.matches("button, summary") || pause(!stopped),
  };
  const act = name === undefined ? keys[event.key] ?? keys[digit] : () => event.repeat || label(name, event.shiftKey);
  if (!act) return;
  if (!(event.key === " " && target.matches("button, summary"))) event.preventDefault();
  act();
});
