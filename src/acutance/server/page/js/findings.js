/** What the server says that it saw and did, in the reader's language: its sentences are put together from a few parts. */
import { isEnglish } from "./language.js";
import { sentence } from "./words.js";

/** The server's words, and the Chinese for them. `{n}` is a number, `{m}` a name, `{c}` words of this table again. */
const PARTS = [
  ["first frame: {c}, which is not taken out of moving pictures: all frames by model {m}", "首帧：{c}，动态画面不消除运动模糊；所有帧使用模型 {m}"],
  ["first frame: {c}: all frames by model {m}", "首帧：{c}；所有帧使用模型 {m}"],
  ["worked on in strips, which are not looked at: sharpened as a soft picture is", "图片很大，分条处理，未做分析：按发虚照片锐化"],
  ["practically unchanged: {c}", "几乎没有变化：{c}"],
  ["{c}, which takes model {m}", "{c}，需使用模型 {m}"],
  ["{c}, perhaps, but not everywhere or not exactly: {c}", "可能是{c}，但并非处处一致或不够精确：{c}"],
  ["{c}, but not everywhere or not exactly: {c}", "{c}，但并非处处一致或不够精确：{c}"],
  ["{c}, as told: {c}", "{c}（按您所给）：{c}"],
  ["{c}: {c}", "{c}：{c}"],

  ["nothing in it shows how blurred it is", "画面中没有可判断模糊的内容"],
  ["too small to tell what blurred it", "图片太小，无法判断模糊原因"],
  ["sharp already", "已经清晰"],
  ["nearly sharp", "接近清晰"],
  ["not sure, {c}", "不确定，{c}"],
  ["soft differently over the picture, mostly {c}", "各处模糊不同，主要是{c}"],
  ["grain of {n} levels, {c}", "颗粒约 {n} 级，{c}"],
  ["grain of {n} levels", "颗粒约 {n} 级"],
  ["noise of {n} levels, {c}", "噪点约 {n} 级，{c}"],
  ["noise of {n} levels", "噪点约 {n} 级"],
  ["soft by about σ = {n} px", "发虚，σ 约 {n} 像素"],
  ["soft by σ = {n} px", "发虚，σ = {n} 像素"],
  ["out of focus by about {n} px", "失焦，半径约 {n} 像素"],
  ["out of focus by {n} px", "失焦，半径 {n} 像素"],
  ["straight motion of about {n} px along {n}°", "直线运动模糊，约 {n} 像素，方向 {n}°"],
  ["straight motion of {n} px along {n}°", "直线运动模糊，{n} 像素，方向 {n}°"],
  ["straight motion that differs over the picture", "各处不同的直线运动模糊"],
  ["curved motion of about {n} px", "曲线运动模糊（抖动），约 {n} 像素"],

  ["{c} at 1/{n} of its size", "{c}（在 1/{n} 尺寸上处理）"],
  ["sharpened", "已锐化"],
  ["sharpened only", "仅锐化"],
  ["sharpened without its noise", "已锐化并去除噪点"],
  ["taken out of {n} % of it", "已在 {n} % 的画面中消除"],
  ["taken out", "已消除"],
  ["left as it is", "保持原样"],
  ["too uncertain to undo, {c}", "把握不足，未消除，{c}"],
  ["not taken out in the memory allowed, sharpened only", "内存不足，未消除，仅锐化"],
  ["not taken out, sharpened only", "未消除，仅锐化"],
  ["made less noisy, hardly sharper", "噪点减少，清晰度几乎不变"],

  ["unchanged", "没有变化"],
  ["practically unchanged", "几乎没有变化"],
  ["too noisy ({c})", "噪点过多（{c}）"],
  ["less than 1 % of it changed, {c}", "不到 1 % 的画面有变化，{c}"],
  ["{n} % of it changed, {c}; {c}", "{n} % 的画面有变化，{c}；{c}"],
  ["{n} % of it changed, {c}", "{n} % 的画面有变化，{c}"],
  ["edges {n} times as steep", "边缘陡度为原来的 {n} 倍"],
  ["smoother", "更平滑"],
  ["all over", "遍布全图"],
  ["nowhere", "没有位置"],
  ["mostly {c}, {c} and {c}", "主要在{c}、{c}和{c}"],
  ["mostly {c} and {c}", "主要在{c}和{c}"],
  ["mostly {c}", "主要在{c}"],
  ["in the upper left", "左上"],
  ["at the top", "上方"],
  ["in the upper right", "右上"],
  ["on the left", "左侧"],
  ["in the middle", "中部"],
  ["on the right", "右侧"],
  ["in the lower left", "左下"],
  ["at the bottom", "下方"],
  ["in the lower right", "右下"],
].map(([english, chinese]) => ({ pattern: patternOf(english), slots: [...english.matchAll(/\{(\w)\}/g)].map(([, kind]) => kind), chinese }));

function patternOf(english) {
  const escaped = english.replace(/[.*+?^$()|[\]\\]/g, "\\$&");
  return new RegExp(`^${escaped.replaceAll("{n}", "([\\d.]+)").replaceAll("{m}", "(\\S+)").replaceAll("{c}", "(.+?)")}$`);
}

/** Return a sentence of the server in the reader's language; as it came where it is not known. */
export function findingWords(words) {
  if (isEnglish()) return sentence(words);
  const found = translated(words);
  return found ? `${found}。` : sentence(words);
}

function translated(words) {
  for (const { pattern, slots, chinese } of PARTS) {
    const values = pattern.exec(words)?.slice(1).map((value, index) => (slots[index] === "c" ? translated(value) : value));
    if (values && !values.includes(null)) return chinese.replace(/\{\w\}/g, () => values.shift());
  }
  return null;
}
