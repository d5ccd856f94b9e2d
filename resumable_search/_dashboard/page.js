// Asks for what has changed and shows it. All texts go into the page as text.
"use strict";

const EVERY = 1500; // ms between two questions
const ROWS_AT_FIRST = 100;
const byId = (id) => document.getElementById(id);

let seen = { life: 0, version: 0 };
let rows = [];
let drawn = new Map(); // row -> what stands in the table for it
let shownRows = ROWS_AT_FIRST;
let state = null;

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined && text !== null) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function fill(parent, ...children) {
  parent.replaceChildren(...children.filter((child) => child !== null));
}

function setText(id, text) {
  const found = byId(id);
  if (found.textContent !== text) found.textContent = text;
}

function duration(seconds) {
  if (seconds === null || seconds === undefined || !(seconds >= 0)) return "";
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 172800) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.round(s / 86400)} days`;
}

function number(n, thing) {
  return `${n} ${thing}${n === 1 ? "" : "s"}`;
}

function written(parameters) {
  return Object.entries(parameters).map(([name, value]) => `${name}=${value}`).join(", ");
}

// ---------------------------------------------------------------------------

function showProgress() {
  const running = state.running;
  document.title = `${state.n_done}/${state.n_folds} · ${state.kind}`;
  setText("title", `${state.kind} of ${state.estimator}, search ${state.search}`);
  setText("checkpoint", state.checkpoint);
  byId("state").className = state.state === "running" ? "running" : "";
  const left = running && running.seconds_left !== null && state.n_done < state.n_folds
    ? `, about ${duration(running.seconds_left)} left` : "";
  const what = state.state[0].toUpperCase() + state.state.slice(1);
  const more = running
    ? ` for ${duration(state.now - running.started)}${left} (process ${running.pid} on ${running.host})`
    : state.state_text.slice(state.state.length);
  fill(byId("state"), element("b", what), element("span", more));
  byId("done").style.width = `${(100 * state.n_done) / Math.max(1, state.n_folds)}%`;
  byId("failed").style.width = `${(100 * state.n_failed) / Math.max(1, state.n_folds)}%`;
  byId("bar").setAttribute("aria-valuenow", state.n_done);
  byId("bar").setAttribute("aria-valuemax", state.n_folds);
  const counts = [`${state.n_done} of ${state.n_folds} folds finished`];
  if (running && running.n_resumed) counts.push(`${running.n_resumed} of them in earlier runs`);
  if (state.n_failed) counts.push(`${state.n_failed} failed`);
  counts.push(`${number(state.n_candidates, "candidate")} on ${number(state.n_splits, "split")}`);
  setText("counts", counts.join(", "));
  setText("best", state.best === null
    ? "No candidate has all its folds yet."
    : `Best ${state.metric}: ${Number(state.best.score.toPrecision(5))} with ${written(state.best.parameters)}`);
}

function showWorkers() {
  const workers = state.running ? state.running.workers : [];
  byId("worker-section").hidden = workers.length === 0;
  fill(byId("workers").tBodies[0], ...workers.map((worker) => {
    const row = element("tr");
    const row_of = rows[worker.candidate];
    const isIdle = worker.candidate === null;
    const doing = worker.pid === null ? "no process" : "nothing to do";
    row.append(
      element("td", worker.number),
      element("td", worker.device === null ? "CPU" : worker.device.slice(0, 12)),
      element("td", isIdle ? doing : worker.candidate, isIdle ? "weak" : ""),
      element("td", isIdle ? "" : worker.split),
      element("td", isIdle || worker.started === null ? "" : duration(state.now - worker.started)
        + (worker.attempt > 1 ? `, try ${worker.attempt}` : "")),
      element("td", worker.epoch === null ? "" : worker.n_epochs === null
        ? worker.epoch : `${worker.epoch} of ${worker.n_epochs}`),
      element("td", !isIdle && row_of ? written(row_of.parameters) : ""),
    );
    if (worker.device) row.cells[1].title = worker.device;
    return row;
  }));
}

let lastErrors = "";
function showErrors() {
  const errors = state.errors;
  byId("error-section").hidden = errors.length === 0;
  const key = JSON.stringify(errors);
  if (key === lastErrors) return; // leaves open what is open
  lastErrors = key;
  const open = new Set([...document.querySelectorAll("#errors details[open] pre")].map((pre) => pre.textContent));
  fill(byId("errors"), ...errors.map((error) => {
    const details = element("details");
    const folds = error.folds.map(([candidate, split]) => `candidate ${candidate}, split ${split}`).join("; ");
    const more = error.n > error.folds.length ? ` and ${error.n - error.folds.length} more` : "";
    details.open = open.has(error.text);
    details.append(
      element("summary", `${error.n} × ${error.headline}`),
      element("p", `In ${folds}${more}`, "weak"),
      element("pre", error.text),
    );
    return details;
  }));
}

// ---------------------------------------------------------------------------

const NAMES = { d: "finished", f: "failed", r: "running", p: "to do" };

function drawRow(i, running) {
  const row = rows[i];
  const isBest = state.best !== null && state.best.candidate === i;
  const key = `${row.v} ${[...running].join()} ${isBest}`;
  const old = drawn.get(i);
  if (old && old.key === key) return old.node;
  const node = element("tr", undefined, isBest ? "best" : "");
  const folds = element("td", undefined, row.folds.length > 12 ? "many" : "");
  row.folds.forEach(([letter, score, worker, seconds], split) => {
    const now = letter !== "d" && running.has(split) ? "r" : letter;
    const fold = element("i", undefined, `fold ${now}`);
    const parts = [`split ${split}: ${NAMES[now]}`];
    if (now === "d") parts.push(`score ${score}`);
    if (now === "d" || now === "f") {
      parts.push(duration(seconds));
      if (worker !== null) parts.push(`worker ${worker}`);
    }
    fold.title = parts.filter(Boolean).join(", ");
    folds.append(fold);
  });
  node.append(
    element("td", i),
    folds,
    element("td", row.score === null ? "" : row.score.toPrecision(4), "number"),
    element("td", written(row.parameters)),
  );
  drawn.set(i, { key, node });
  return node;
}

function showFolds() {
  const running = new Map();
  for (const worker of state.running ? state.running.workers : []) {
    if (worker.candidate === null) continue;
    if (!running.has(worker.candidate)) running.set(worker.candidate, new Set());
    running.get(worker.candidate).add(worker.split);
  }
  const order = byId("order").value;
  const places = rows.map((_, i) => i);
  const failures = (i) => rows[i].folds.filter(([letter]) => letter === "f").length;
  const score = (i) => (rows[i].score === null ? -Infinity : rows[i].score);
  if (order === "score") places.sort((a, b) => (score(a) === score(b) ? a - b : score(b) - score(a)));
  if (order === "failed") places.sort((a, b) => failures(b) - failures(a) || a - b);
  const nodes = places.slice(0, shownRows).map((i) => drawRow(i, running.get(i) || new Set()));
  const body = byId("folds").tBodies[0];
  if (nodes.length !== body.rows.length || nodes.some((node, i) => node !== body.rows[i])) fill(body, ...nodes);
  byId("more").hidden = rows.length <= shownRows;
  const nComing = state.n_candidates - rows.length;
  setText("coming", nComing > 0 ? `${number(nComing, "more candidate")} to come.` : "");
  setText("more", `Show all ${rows.length} candidates`);
}

// ---------------------------------------------------------------------------

function showProblem(text) {
  byId("problem").hidden = text === null;
  setText("problem", text === null ? "" : text);
}

function show() {
  showProgress();
  showErrors();
  showWorkers();
  showFolds();
}

async function ask() {
  let answer;
  try {
    const address = `/state.json?life=${seen.life}&version=${seen.version}`;
    answer = await (await fetch(address, { cache: "no-store" })).json();
  } catch {
    showProblem("The dashboard does not answer: was 'resumable-search dashboard' stopped? What is below may be old.");
    return;
  }
  showProblem(answer.problem);
  byId("to-plots").hidden = !answer.plots;
  byId("main").hidden = answer.problem !== null;
  if (answer.problem !== null) return;
  if (answer.life !== seen.life) {
    rows = [];
    drawn = new Map();
  }
  rows.length = answer.n_rows;
  for (const row of answer.rows) rows[row.i] = { ...row, v: answer.version };
  seen = { life: answer.life, version: answer.version };
  state = answer;
  show();
}

async function follow() {
  if (!document.hidden) await ask();
  setTimeout(follow, EVERY);
}

byId("order").addEventListener("change", () => state && showFolds());
byId("more").addEventListener("click", () => {
  shownRows = Infinity;
  showFolds();
});
document.addEventListener("visibilitychange", () => !document.hidden && ask());
follow();
