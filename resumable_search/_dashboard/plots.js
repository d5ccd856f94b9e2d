// Optuna's dashboard keeps finished trials as it saw them first: where one has
// changed after all, the page begins anew.
"use strict";

const life = Number(document.currentScript.dataset.life);

setInterval(async () => {
  if (document.hidden) return;
  try {
    const now = await (await fetch("/life.json", { cache: "no-store" })).json();
    if (now.plots !== life) location.reload();
  } catch {
    // The server was stopped; Optuna's dashboard says so itself.
  }
}, 5000);
