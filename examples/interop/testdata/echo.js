const WebSocket = require('ws');
const crypto = require('crypto');

const ws = new WebSocket(process.argv[2], ['first', 'second'], { perMessageDeflate: false });
const fail = (why) => { console.log('failed: ' + why); process.exit(1); };
setTimeout(() => fail('too late'), 50000).unref();

const sent = [];
for (const size of [0, 1, 125, 126, 65535, 65536, 1 << 20]) {
  sent.push('ü'.repeat(size / 2), crypto.randomBytes(size));
}
for (let i = 0; i < 500; i++) sent.push(String(i));

let got = 0, ponged = false;
ws.on('open', () => {
  if (ws.protocol !== 'first') fail('protocol ' + ws.protocol);
  for (const m of sent) ws.send(m);
  ws.ping('are you there');
});
ws.on('pong', (d) => { ponged = d.toString() === 'are you there'; });
ws.on('message', (data, binary) => {
  const want = sent[got++];
  if (binary !== (typeof want !== 'string')) fail('kind of message ' + got);
  if (Buffer.compare(data, Buffer.from(want)) !== 0) fail('message ' + got);
  if (got === sent.length) ws.close(4001, 'bye');
});
ws.on('close', (code) => {
  if (code !== 4001) fail('close code ' + code);
  if (!ponged) fail('no pong');
  if (got !== sent.length) fail('messages ' + got);
  console.log('ok');
});
ws.on('error', (e) => fail(e.message));
