"use strict";
/* The form works without this file, as a form that leads to the report. With it, files can be dropped, a refusal is
   shown beside the form, the report opens over it, and the collection can be searched. */

(() => {
  const at = (id) => document.getElementById(id);
  const form = at("form"), input = at("files"), drop = at("drop"), status = at("status"), problem = at("problem");
  const view = at("view"), place = at("place"), title = document.title;
  const buttons = [at("analyze"), at("search"), at("save")];
  const kinds = input.accept.split(",");
  const most = Number(form.dataset.megabytes) * 1e6, number = Number(form.dataset.files);
  let busy = false;

  form.noValidate = true; // what is wrong is said here
  at("hint").hidden = false;
  at("search").hidden = !("search" in form.dataset);

  function size(bytes) {
    return bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
  }

  /* Why these files cannot be sent, or "". The server judges again. */
  function wrong(files) {
    if (!files.length) return "Choose a file of notes, a picture of its score, or one of each.";
    if (files.length > number) return `These are ${files.length} files; give one of notes, one picture, or one of each.`;
    for (const file of files) {
      const dot = file.name.lastIndexOf(".");
      const suffix = dot < 0 ? "" : file.name.slice(dot).toLowerCase();
      if (!kinds.includes(suffix)) {
        return `${file.name} is of no known kind; scoresim reads ${kinds.map((kind) => kind.slice(1)).join(", ")}.`;
      }
      if (file.size > most) return `${file.name} is larger than ${form.dataset.megabytes} MB, the most for a file.`;
      if (!file.size) return `${file.name} is empty; choose another file.`;
    }
    return "";
  }

  function show() {
    at("chosen").replaceChildren(...Array.from(input.files, (file) => {
      const item = document.createElement("li"), note = document.createElement("span");
      item.textContent = `${file.name} `;
      note.className = "size";
      note.textContent = size(file.size);
      item.append(note);
      return item;
    }));
    problem.textContent = "";
    const reason = input.files.length ? wrong(input.files) : "";
    if (reason) problem.textContent = reason;
  }

  function refuse(sentence) {
    status.textContent = "";
    problem.textContent = sentence;
    problem.focus();
  }

  function work(sentence) {
    busy = Boolean(sentence);
    status.textContent = sentence;
    status.classList.toggle("busy", busy);
    for (const button of buttons) button.setAttribute("aria-disabled", String(busy));
  }

  /* Send the files; the response when it is well, null when it was refused and that was said. */
  async function send(address, sentence) {
    if (busy) return null;
    problem.textContent = "";
    const reason = wrong(input.files);
    if (reason) {
      refuse(reason);
      return null;
    }
    const body = new FormData();
    for (const file of input.files) body.append("files", file);
    work(sentence);
    let reply = null, said = "The server cannot be reached; is it still running?";
    try {
      reply = await fetch(address, { method: "POST", body, headers: { Accept: "application/json, text/html" } });
      if (!reply.ok) {
        said = `The server answered with status ${reply.status}.`;
        said = (await reply.json()).error || said;
        reply = null;
      }
    } catch {
      reply = null; // said is there
    }
    work("");
    if (!reply) refuse(said);
    return reply;
  }

  const names = () => Array.from(input.files, (file) => file.name).join(", ");

  async function analyze() {
    const reply = await send("/report", "Reading your files…");
    if (!reply) return;
    const frame = document.createElement("iframe");
    frame.title = `Report: ${names()}`;
    frame.id = "report";
    frame.srcdoc = await reply.text();
    place.replaceChildren(frame);
    at("what").textContent = names();
    document.body.classList.add("viewing");
    view.hidden = false;
    document.title = `Report: ${names()}`;
    history.pushState({ report: true }, "");
    frame.addEventListener("load", () => frame.focus(), { once: true });
  }

  function leave() {
    if (view.hidden) return;
    view.hidden = true;
    place.replaceChildren();
    document.body.classList.remove("viewing");
    document.title = title;
    at("analyze").focus();
  }

  async function save() {
    const reply = await send("/report?save=true", "Reading your files…");
    if (!reply) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await reply.blob());
    link.download = "scoresim-report.html";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    status.textContent = "The report is saved among your downloads.";
  }

  function cell(row, text, label, kind) {
    const made = row.insertCell();
    made.textContent = text;
    made.setAttribute("role", "cell"); // a narrow page shows rows as blocks, and they are to stay a table
    if (label) made.dataset.label = label;
    if (kind) made.className = kind;
  }

  async function search() {
    const reply = await send("/api/v1/search?top=20", "Searching the collection…");
    if (!reply) return;
    const { found } = await reply.json(), rows = at("rows");
    rows.replaceChildren();
    found.forEach((one, place) => {
      const row = rows.insertRow(), share = one.probability;
      row.setAttribute("role", "row");
      cell(row, String(place + 1), "", "number rank");
      cell(row, one.file, "", "file");
      cell(row, one.kind === "image" ? "picture" : "notes", "is");
      cell(row, one.first_bar === null ? "" : `${one.first_bar + 1} to ${one.end_bar}`, one.first_bar === null ? "" : "bars");
      cell(row, one.similarity.toFixed(2), "similarity", "number");
      cell(row, share === null ? "" : `${Math.round(100 * share)} %`, share === null ? "" : "same music", "number");
    });
    at("results").hidden = false;
    status.textContent = found.length === 1 ? "One file found." : `${found.length} files found.`;
    at("results-title").focus();
  }

  input.addEventListener("change", show);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (event.submitter === at("save")) save(); else analyze();
  });
  at("search").addEventListener("click", search);
  at("back").addEventListener("click", () => history.back());
  addEventListener("popstate", leave);

  let depth = 0; // of elements under the pointer, inside the place where files are dropped
  const carries = (event) => event.dataTransfer && Array.from(event.dataTransfer.types).includes("Files");
  drop.addEventListener("dragenter", (event) => { if (carries(event)) { depth += 1; drop.classList.add("over"); } });
  drop.addEventListener("dragleave", () => { depth = Math.max(0, depth - 1); if (!depth) drop.classList.remove("over"); });
  for (const kind of ["dragover", "drop"]) { // beside the place a browser would leave the page for the file
    addEventListener(kind, (event) => { if (carries(event)) event.preventDefault(); });
  }
  drop.addEventListener("drop", (event) => {
    depth = 0;
    drop.classList.remove("over");
    if (!carries(event) || busy) return;
    input.files = event.dataTransfer.files;
    show();
  });
  if (input.files.length) show(); // a browser that went back keeps them
})();
