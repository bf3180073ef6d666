/** Pictures in: dropped, pasted, chosen; folders, too. */
import { byId } from "./dom.js";

/** Call `take(files)` whenever pictures are given. `files` may be empty: then what was given holds none. */
export function addIntake(take) {
  const input = byId("files");
  input.addEventListener("change", () => {
    if (input.files.length) take([...input.files]); // what is chosen on purpose is taken whatever its name
    input.value = "";
  });
  for (const id of ["choose", "add"]) byId(id).addEventListener("click", () => input.click());
  addDropping(take);
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) {
      event.preventDefault();
      take(files.filter(isPicture));
    }
  });
}

function addDropping(take) {
  const veil = byId("veil");
  let depth = 0;
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragenter", (event) => {
    if (!hasFiles(event)) return;
    depth += 1;
    veil.hidden = false;
  });
  document.addEventListener("dragleave", (event) => {
    if (!hasFiles(event)) return;
    depth -= 1;
    if (depth <= 0) veil.hidden = true;
  });
  document.addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  document.addEventListener("drop", async (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = 0;
    veil.hidden = true;
    take(await droppedFiles(event.dataTransfer));
  });
}

/** Return the pictures that were dropped, those in folders included. */
async function droppedFiles(transfer) {
  // All entries at once: they are gone after the first wait.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const hasFolder = entries.some((entry) => entry.isDirectory);
  if (!hasFolder) return [...transfer.files].filter((file) => isPicture(file) || transfer.files.length === 1);
  const found = [];
  for (const entry of entries) found.push(...(await filesIn(entry)));
  return found.filter(isPicture);
}

async function filesIn(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // 100 at a time
    if (!some.length) return found;
    for (const inner of some) found.push(...(await filesIn(inner)));
  }
}

/** Whether a file is one by its type or by its name, of which the server lists the endings. */
function isPicture({ type, name }) {
  return type.startsWith("image/") || byId("files").accept.split(",").some((ending) => name.toLowerCase().endsWith(ending));
}
