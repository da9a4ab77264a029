"use strict";


function showTeacher() {
  const { lesson } = view;
  $("teach").hidden = !lesson;
  if (!lesson) return;
  const runs = view.models.map((model, index) => [model, index]).filter(([model]) => model.run);
  arrange($("base"), runs.map(([model]) => model.blob), (blob) => make("option", { value: blob }));
  runs.forEach(([model], index) => text($("base").children[index], model.name));
  const labelled = view.classes.reduce((sum, [name, count]) => sum + (name === UNLABELLED ? 0 : count), 0);
  text($("learns"), runs.length === 0
    ? "Name a run by --model: a folder that train made can learn further."
    : `Goes on from a run with its own pictures and the ${labelled} labelled ones below.`);
  $("train").disabled = lesson.running || labelled === 0 || runs.length === 0;
  $("cancel").hidden = !lesson.running;
  $("learning").hidden = !lesson.running;
  if (lesson.share === null) $("learning").removeAttribute("value");
  else $("learning").value = lesson.share;
  text($("lesson"), lesson.running ? lesson.what : "");
  const outcome = lesson.failed ? [lesson.failed] : lesson.said;
  $("outcome").className = lesson.failed ? "bad" : "";
  arrange($("outcome"), outcome, (sentence) => make("li", { textContent: sentence }));
}

$("train").addEventListener("click", () => act({
  do: "teach", model: view.models.findIndex((model) => model.blob === $("base").value),
}));
$("cancel").addEventListener("click", () => act({ do: "cancel" }));
