// Sends every message of a folder over one WebSocket, compares what comes back,
// pings and closes. As a client: node drive.js client URL FOLDER OPTIONS; as a
// server, which prints its port first: node drive.js server FOLDER OPTIONS. With
// files in TLS_CERT and TLS_KEY the server speaks TLS.
const WebSocket = require('ws');
const fs = require('fs');
const path = require('path');

const fail = (why) => { console.log('failed: ' + why); process.exit(1); };
setTimeout(() => fail('too late'), 50000).unref();

const args = process.argv.slice(2);
const role = args.shift();
const url = role === 'client' ? args.shift() : '';
const messages = fs.readdirSync(args[0]).sort().map((name) => ({
  binary: name.includes('.binary'), split: name.endsWith('.split'), data: fs.readFileSync(path.join(args[0], name)),
}));
const perMessageDeflate = JSON.parse(args[1]);

function drive(ws) {
  let at = 0, ponged = false;
  const send = () => {
    const m = messages[at];
    const o = { binary: m.binary, compress: m.data.length >= 64 };
    if (!m.split) return ws.send(m.data, o);
    const a = Math.floor(m.data.length / 3), b = 2 * a;
    ws.send(m.data.subarray(0, a), { ...o, fin: false });
    ws.send(m.data.subarray(a, b), { ...o, fin: false });
    ws.send(m.data.subarray(b), { ...o, fin: true });
  };
  ws.on('message', (data, binary) => {
    const m = messages[at];
    if (binary !== m.binary || Buffer.compare(data, m.data) !== 0) fail('message ' + at);
    if (++at < messages.length) send(); else ws.ping('are you there');
  });
  ws.on('pong', (d) => { ponged = d.toString() === 'are you there'; ws.close(1000, 'goodbye'); });
  ws.on('close', (code) => {
    if (code !== 1000 || !ponged || at !== messages.length) fail('closed with ' + code + ' after ' + at);
    console.log('ok');
    process.exit(0);
  });
  ws.on('error', (e) => fail(e.message));
  return send;
}

if (role === 'client') {
  const ws = new WebSocket(url, { perMessageDeflate });
  ws.on('open', drive(ws));
} else {
  const { TLS_CERT, TLS_KEY } = process.env;
  const server = TLS_CERT
    ? require('https').createServer({ cert: fs.readFileSync(TLS_CERT), key: fs.readFileSync(TLS_KEY) })
    : require('http').createServer();
  const s = new WebSocket.Server({ server, perMessageDeflate });
  server.listen(0, '127.0.0.1', () => console.log('port ' + server.address().port));
  s.on('connection', (ws) => drive(ws)());
}
