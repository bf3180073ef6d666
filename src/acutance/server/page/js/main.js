/** The page: puts its parts together. */
import * as api from "./api.js";
import { Batch } from "./batch.js";
import { onLost, persist } from "./connection.js";
import { byId, dialogOf, make, oncePerTask } from "./dom.js";
import { History } from "./history.js";
import { Known } from "./known.js";
import { addIntake } from "./intake.js";
import { addIntro } from "./intro.js";
import { bytesText, fillTexts, onLanguage, switchLanguage, text } from "./language.js";
import { notify, say } from "./notices.js";
import { Panel } from "./panel.js";
import { Album, runSettings } from "./pictures.js";
import { Queue } from "./queue.js";
import { fileOf, reportOf, saveAs, zipOf } from "./saving.js";
import { Strip } from "./strip.js";
import { MANY, Table } from "./table.js";
import { addTheme } from "./theme.js";
import { Title } from "./title.js";
import { Together } from "./together.js";
import { Trust } from "./trust.js";
import { Variants } from "./variants.js";
import { Viewer } from "./viewer.js";
import { errorWords } from "./words.js";

const KEYS = ["zoom", "move", "fit", "divider", "hold", "loupe", "wrong", "variants", "next", "paste"];

const album = new Album();
const queue = new Queue(album, told);
const viewer = new Viewer(album, {
  onCancel: () => queue.cancel(album.current.version),
  onRetry: () => queue.ensure(album.current),
  onRemove: () => album.remove(album.current),
  step: (by) => showNeighbour(by),
});
const strip = new Strip({ onShow: (picture) => album.show(picture), onRemove: (picture) => album.remove(picture) });
const history = new History({ onShow: showVersion, onSave: (version) => save(version, ""), onForget: (version) => album.forget(version), onClear: clearHistory });
const table = new Table(album, { onShow: (picture) => album.show(picture), onBegin: (pictures) => pictures.forEach((picture) => queue.ensure(picture)) });
const batch = new Batch(album);
const title = new Title(batch);
const together = new Together(batch, { onCancel: () => queue.cancelAll(batch) });
let panel = null;
let known = null;
let trust = null;
let variants = null;
let offer = null;

const render = oncePerTask(() => {
  const isEmpty = album.pictures.length === 0;
  const wasEmpty = byId("workspace").hidden;
  byId("intro").hidden = !isEmpty;
  byId("workspace").hidden = isEmpty;
  document.documentElement.dataset.stage = isEmpty ? "intro" : "work";
  if (wasEmpty && !isEmpty) byId("stage").focus({ preventScroll: true });
  viewer.render();
  strip.render(album);
  panel?.render(album);
  known?.render(album);
  trust?.render();
  variants?.render();
  history.render(album);
  table.render();
  batch.update();
  title.render();
  together.render();
});

album.addEventListener("change", render);

async function take(files) {
  if (!offer) return;
  if (!files.length) return notify(text("said.noPicture"), { isProblem: true });
  const most = offer.limits.max_body_bytes;
  const fitting = files.filter((file) => file.size <= most);
  for (const file of files.filter((other) => other.size > most)) {
    const words = text("error.tooManyBytes", { bytes: bytesText(file.size), most: bytesText(most) });
    notify(text("said.failed", { name: file.name, words }), { isProblem: true });
  }
  if (!fitting.length) return;
  const pictures = fitting.map((file) => album.add(file));
  album.show(pictures[0]);
  say(pictures.length === 1 ? text("said.addedOne", { name: pictures[0].name }) : text("said.added", { count: pictures.length }));
  if (pictures.length > MANY) {
    for (const picture of pictures) picture.isHeld = true;
    table.open();
  }
  for (const picture of pictures) {
    await Viewer.prepare(picture); // one after the other: a decoded photo is large
    if (picture.needsPreview) await Viewer.preview(picture, () => beginRead(picture));
    beginRead(picture);
    album.changed(); // its thumbnail is there
  }
}

/** Begin a photo that was read, unless somebody has closed it, cancelled it, or chooses first. */
function beginRead(picture) {
  if (album.pictures.includes(picture) && !picture.isHeld && !picture.version) queue.ensure(picture);
}

function told(version) {
  const { name } = version.picture;
  if (version.state === "done") return say(text("said.done", { name }));
  const words = text("said.failed", { name, words: errorWords(version.error) });
  return version.picture === album.current ? say(words) : notify(words, { isProblem: true });
}

function setStrength(strength) {
  album.current.settings.strength = album.settings.strength = strength;
  known?.refresh();
  album.changed();
}

function run(settings) {
  Object.assign(album.settings, settings);
  runKnown(settings);
}

function takeVariant({ strength, ...settings }) {
  setStrength(strength);
  run(settings);
}

/** Run a picture with what is known of it, which is of no other. */
function runKnown(settings) {
  Object.assign(album.current.settings, settings);
  queue.ensure(album.current);
  album.changed();
}

function useForAll() {
  const { told, region, ...settings } = album.current.settings;
  for (const picture of album.pictures) {
    Object.assign(picture.settings, settings);
    queue.ensure(picture);
  }
  notify(text("usedForAll"));
  album.changed();
}

function showNeighbour(by) {
  const index = album.pictures.indexOf(album.current) + by;
  if (album.pictures[index]) album.show(album.pictures[index]);
}

function showVersion(version) {
  Object.assign(version.picture.settings, runSettings(version));
  album.show(version.picture);
}

function clearHistory() {
  for (const version of [...album.history]) if (!album.pictures.includes(version.picture)) album.forget(version);
  album.history = [];
  album.changed();
}

async function save(version, format) {
  await whileSaving("one", async () => {
    const { blob, name, lost } = await fileOf(version, format, Object.keys(offer.formats));
    saveAs(blob, name);
    notify(lost.length ? text("save.lost", { lost: lost.join(", ") }) : text("saved", { name }));
  });
}

async function saveReport(kind) {
  const { version } = album.current;
  await whileSaving("report", async () => {
    const { blob, name, isPacked } = await reportOf(version, kind, byId("format").value);
    saveAs(blob, name);
    notify(text(isPacked ? "trust.saved" : "saved", { name }));
  });
}

async function saveAll(format) {
  const versions = album.pictures.map((picture) => picture.version).filter((version) => version?.state === "done");
  const count = versions.length;
  album.packed = { done: 0, count };
  await whileSaving("all", async () => {
    const makers = versions.map((version) => () => fileOf(version, format, Object.keys(offer.formats)));
    const zip = await zipOf(makers, (done) => {
      album.packed = { done, count };
      album.changed();
    });
    saveAs(zip, "acutance.zip");
    notify(text("saved", { name: "acutance.zip" }));
  });
}

async function whileSaving(what, work) {
  album.saving = what;
  album.changed();
  try {
    await work();
  } catch (error) {
    notify(errorWords(error), { isProblem: true });
  } finally {
    album.saving = null;
    album.changed();
  }
}

async function takeExample() {
  const blob = await (await fetch("page/example.jpg")).blob();
  await take([new File([blob], text("example.name"), { type: "image/jpeg" })]);
}

function addKeysHelp() {
  const dialog = dialogOf("keys");
  byId("keys-open").addEventListener("click", () => dialog.showModal());
  onLanguage(() => {
    const rows = KEYS.flatMap((key) => [make("dt", {}, text(`keys.${key}Keys`)), make("dd", {}, text(`keys.${key}`))]);
    byId("keys-list").replaceChildren(...rows);
  });
}

function addModality() {
  // Whether keys or a pointer were used last: a ring around the whole stage only helps those who use keys.
  const set = (input) => () => (document.documentElement.dataset.input = input);
  document.addEventListener("keydown", set("keys"), { capture: true });
  document.addEventListener("pointerdown", set("pointer"), { capture: true });
}

async function begin() {
  onLanguage(() => {
    fillTexts();
    byId("language").textContent = text("language.other");
    byId("language").setAttribute("aria-label", text("language.label"));
    render();
  });
  byId("language").addEventListener("click", switchLanguage);
  addTheme();
  addModality();
  addKeysHelp();
  addIntro({ onExample: takeExample });
  addIntake(take);
  onLost((isLost) => {
    byId("lost").hidden = !isLost;
    title.setLost(isLost);
    if (!isLost) say(text("said.back"));
  });
  window.addEventListener("beforeunload", (event) => {
    if (!queue.isIdle) event.preventDefault(); // a reload by mistake would lose what is being worked on
  });
  window.addEventListener("pagehide", api.forgetAll);
  offer = await persist(api.listModels);
  panel = new Panel(offer, {
    onStrength: setStrength,
    onRun: run,
    onUseForAll: useForAll,
    onSave: (format) => save(album.current.version, format),
    onSaveAll: saveAll,
  });
  trust = new Trust(album, viewer.stage, { onSave: saveReport });
  known = new Known(album, viewer.stage, offer, { onApply: runKnown });
  variants = new Variants(album, viewer, offer, { onTake: takeVariant });
  const first = offer.models.find((model) => model.name === offer.default);
  Object.assign(album.settings, { model: first.name, scale: first.scale });
  document.documentElement.dataset.ready = "yes";
}

begin().catch((error) => notify(text("error.start", { words: errorWords(error) }), { isProblem: true }));
