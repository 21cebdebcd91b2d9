// CRC-32 (ISO-HDLC) of ASCII text: how a client knows that its book is the server's book.

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit += 1) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  return rest;
});

export function crc32(text) {
  let rest = 0xffffffff;
  for (let at = 0; at < text.length; at += 1) rest = (rest >>> 8) ^ TABLE[(rest ^ text.charCodeAt(at)) & 0xff];
  return (rest ^ 0xffffffff) >>> 0;
}
