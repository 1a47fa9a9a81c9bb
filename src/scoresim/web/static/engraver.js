// The engraver, in a worker: the program of verovio stands before this text.
// In:  {job, sheets: [mei], width, scale}, width in pixels.
// Out: {job, sheet, svg} for every page, in order; then {job, done: true}; or {job, error}.
"use strict";

const UNITS = 100; // verovio's lengths at a scale of 100 are pixels
const PAGE = 1600; // pixels, about: a page is drawn as soon as it is laid out
const STYLE = /<style[^>]*>[^<]*<\/style>/g; // the page has styles of its own, and may allow no others
let latest = 0; // a newer job ends an older one

const ready = new Promise((resolve) => {
  if (verovio.module.calledRun) resolve();
  else verovio.module.onRuntimeInitialized = resolve;
}).then(() => {
  verovio.enableLog(verovio.LOG_OFF);
  return new verovio.toolkit();
});

const breath = () => new Promise((resolve) => setTimeout(resolve)); // lets newer messages in

async function engrave({ job, sheets, width, scale }) {
  const toolkit = await ready;
  toolkit.setOptions({
    scale,
    pageWidth: Math.max(Math.round((width * UNITS) / scale), 100),
    pageHeight: Math.round((PAGE * UNITS) / scale),
    pageMarginLeft: 36, // room for a brace,
    pageMarginRight: 10,
    pageMarginTop: 40,
    pageMarginBottom: 40,
    adjustPageHeight: true,
    breaks: "auto",
    header: "none",
    footer: "none",
    systemDivider: "none",
    svgHtml5: true,
    svgViewBox: true,
    svgRemoveXlink: true,
    xmlIdSeed: 1,
  });
  for (let sheet = 0; sheet < sheets.length; sheet++) {
    if (!toolkit.loadData(sheets[sheet])) throw new Error("verovio does not read it");
    const pages = toolkit.getPageCount();
    for (let page = 1; page <= pages; page++) {
      if (job !== latest) return;
      postMessage({ job, sheet, svg: toolkit.renderToSVG(page).replace(STYLE, "") });
      await breath();
    }
  }
  postMessage({ job, done: true });
}

onmessage = ({ data }) => {
  latest = data.job;
  engrave(data).catch((error) => postMessage({ job: data.job, error: String(error.message || error) }));
};
