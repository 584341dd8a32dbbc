// Notes on words that are no labels.

import { sameLabel } from "./api.js";

const LEAST = 4; // letters of a word that is no longer being typed
const REMEDY = "most models know English best. Try it in English, or label some photos with it and press Learn.";

// How words that are no labels were read, where a person may have meant something else. `strange` words
// are like no label, and have no matches.
export function readings(words, labels, strange = []) {
  const said = [];
  for (const word of words.map((one) => one.replace(/^-/, ""))) {
    const parts = word.split(/\s*[,;]\s*|\s+and\s+/).filter(Boolean);
    if (parts.length > 1) said.push(`“${word}” is read as one phrase: write ${parts.join(" + ")} for photos with both, ${parts.join("|")} for either.`);
    const [, wanted, unwanted] = /^(.+\S)-(\S.*)$/.exec(word) || [];
    if (unwanted && labels.some((label) => sameLabel(label, unwanted))) said.push(`The minus in “${word}” is a hyphen: write ${wanted} -${unwanted}, with a space, to leave out ${unwanted}.`);
    if (/[^\x00-\x7f\u2010-\u201f]/.test(word)) said.push(`“${word}” may not be English: ${REMEDY}`);
    else if (word.length >= LEAST && strange.includes(word)) said.push(`If “${word}” is not English: ${REMEDY}`);
  }
  return said;
}
