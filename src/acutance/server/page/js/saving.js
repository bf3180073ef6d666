/** Downloads: one picture, or all in a zip, at the strength and in the format that are wanted. */
import * as api from "./api.js";
import { persist } from "./connection.js";
import { make } from "./dom.js";
import { optionsOf } from "./queue.js";
import { downloadZip } from "../vendor/client-zip.js";

const REVOKE_MS = 60_000;

/** Media types of results from which nothing is lost when they are written in another format. */
const LOSSLESS = ["image/png", "image/tiff"];

/** What the server calls the format of results, by endings of photos that it does not go by itself. */
const ENDINGS = { tif: "tiff", heif: "heic", hif: "heic", jpg: "jpeg", j2k: "jp2", jpf: "jp2", jxl: "png" };

/** Return a version's file at its photo's strength: `{blob, name, lost}`; `formats` names those that the server writes.
 *
 * At strength 1, in its own format, it is what the server gave already; where that lies here without a loss, the server
 * only writes it in the other format. Anything else it makes anew: only it keeps metadata, depth and profile.
 */
export async function fileOf(version, format, formats) {
  const { strength } = version.picture.settings;
  const hasIt = strength === 1 && !format && !version.isPreview;
  if (hasIt) return { blob: version.blob, name: version.name, lost: version.lost };
  const options = { ...optionsOf(version), report: null, strength, format: format || null };
  const made = strength === 1 && !version.lost.length && LOSSLESS.includes(version.blob.type) && wantedFormat(version, format, formats);
  // By the photo's name, after which the server calls what it makes.
  if (made) return persist(() => api.sharpen(new File([version.blob], version.picture.name), { strength: 0, format: made }));
  return persist(() => api.sharpen(version.picture.file, options));
}

/** Return what tells how a version was made: `{blob, name}`; `kind` is `html` or `json`.
 *
 * Where the download is the very file that the server made, it is that file's report. Else the server makes the file
 * anew, and both come in a zip: a report is of one file, and of no other.
 */
export async function reportOf(version, kind, format) {
  const { strength } = version.picture.settings;
  if (strength === 1 && !format && !version.isPreview) return { blob: version.trust.files[kind], name: `${version.name}.${kind}`, isPacked: false };
  const { id } = await api.submit(version.picture.file, { ...optionsOf(version), strength, format: format || null }, {});
  try {
    await api.follow(id);
    const result = await api.fetchResult(id);
    const report = { blob: await api.fetchReport(id, kind), name: `${result.name}.${kind}` };
    return { blob: await zipOf([async () => result, async () => report], () => {}), name: `${result.name}.zip`, isPacked: true };
  } finally {
    api.forget(id).catch(() => {});
  }
}

/** Return the format that is wanted as the server calls it: the photo's own where none is chosen. */
function wantedFormat(version, format, formats) {
  const ending = /\.([a-z0-9]+)$/i.exec(version.picture.name)?.[1].toLowerCase() ?? "";
  return format || formats.find((name) => name === (ENDINGS[ending] ?? ending)) || null;
}

/** Let the browser save a file. */
export function saveAs(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = make("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), REVOKE_MS);
}

/** Pack files into a zip as they come: `wanted` gives functions, each of which makes one file. */
export async function zipOf(makers, onDone) {
  const names = new Set();
  async function* files() {
    for (const [index, maker] of makers.entries()) {
      const { blob, name } = await maker();
      yield { input: blob, name: unique(name, names), lastModified: new Date(), size: blob.size };
      onDone(index + 1);
    }
  }
  return downloadZip(files()).blob();
}

function unique(name, names) {
  const dot = name.lastIndexOf(".");
  const [stem, ending] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ""];
  let free = name;
  for (let count = 2; names.has(free.toLowerCase()); count += 1) free = `${stem}-${count}${ending}`;
  names.add(free.toLowerCase());
  return free;
}
