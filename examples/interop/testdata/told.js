// Connects, or serves one connection, and prints how it is closed by the other
// side: node told.js client URL, or node told.js server, which prints its port.
const WebSocket = require('ws');
setTimeout(() => { console.log('too late'); process.exit(1); }, 50000).unref();

function listen(ws) {
  ws.on('close', (code, text) => { console.log('closed ' + code + ' ' + text); process.exit(0); });
  ws.on('error', (e) => { console.log(e.message); process.exit(1); });
}

if (process.argv[2] === 'client') {
  const ws = new WebSocket(process.argv[3]);
  listen(ws);
  ws.on('open', () => ws.send('hello'));
} else {
  const s = new WebSocket.Server({ host: '127.0.0.1', port: 0 });
  s.on('listening', () => console.log('port ' + s.address().port));
  s.on('connection', (ws) => { listen(ws); ws.send('hello'); });
}
