// Why to look at a volume, with the landmarks that are named as links.

/**
 * Text of a doubt as children of an element.
 * @param doubt {text, landmarks: those that it names, in its order}
 * @param link makes an element of a name
 */
export function doubtText({ text, landmarks = [] }, link) {
  const names = landmarks.join(", ");
  const start = names ? text.lastIndexOf(names) : -1; // the first may be a part of a word
  if (start < 0) {
    return [text];
  }
  const links = landmarks.flatMap((name, index) => [index > 0 && ", ", link(name)]);
  return [text.slice(0, start), links, text.slice(start + names.length)];
}
