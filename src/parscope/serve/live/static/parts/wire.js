// Messages, and the two ways they come: a socket of the page's own host, or the kernel of a notebook.

export const HELLO = 1, LINES = 2, STATE = 3, PATTERN = 4;

/** Take a message apart. */
export function decode(buffer) {
  const head = new DataView(buffer);
  const length = head.getUint32(4, true);
  const text = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  return { kind: head.getUint32(0, true), text, buffer, offset: 8 + length };
}

/** The token of the address that was printed; kept for reloads, and taken out of sight. */
function tokenOf(place) {
  const given = new URLSearchParams(place.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem("parscope-token", given);
    history.replaceState(null, "", place.pathname + place.search);
  }
  return given ?? sessionStorage.getItem("parscope-token");
}

/** Talk to the server the page came from; comes back by itself after a fault. */
export function socketLink(place = window.location) {
  let token = tokenOf(place);
  const link = { message: () => {}, connected: () => {}, allowed: () => {}, commands: Boolean(token) };
  let socket = null, wait = 250, over = false;
  // An address that is pasted into the same tab does not load the page anew.
  window.addEventListener("hashchange", () => {
    token = tokenOf(place);
    link.commands = Boolean(token);
    link.allowed();
  });
  const open = () => {
    socket = new WebSocket(`${place.protocol === "https:" ? "wss" : "ws"}://${place.host}/stream`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => { wait = 250; link.connected(true); };
    socket.onmessage = (event) => link.message(decode(event.data));
    socket.onclose = () => {
      if (over) return;
      link.connected(false);
      setTimeout(open, wait);
      wait = Math.min(2 * wait, 5000);
    };
  };
  link.open = open;
  link.end = () => { over = true; };
  link.ask = (question) => {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(question));
  };
  link.command = async (verb, body = null) => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    try {
      const answer = await fetch(`/control/${verb}`, { method: "POST", headers, body: JSON.stringify(body) });
      return await answer.json();
    } catch {
      return { fault: "the server does not answer" };
    }
  };
  return link;
}

/** Talk to the kernel of a notebook through the model of a widget. */
export function widgetLink(model) {
  const link = { message: () => {}, connected: () => {}, failed: () => {}, commands: true, end: () => {} };
  const waiting = new Map();
  let number = 0;
  const heard = (content, buffers) => {
    if (content.kind === "told") {
      waiting.get(content.number)?.(content.answer);
      waiting.delete(content.number);
    } else if (content.kind === "fault") link.failed(content.fault);
    else {
      for (const view of buffers) {
        // A message starts anywhere in the buffer of a notebook, arrays of float32 do not.
        const whole = view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
        link.message(decode(whole));
      }
    }
  };
  link.open = () => {
    model.on("msg:custom", heard);
    link.connected(true);
    model.send({ kind: "hello" });
  };
  link.close = () => model.off("msg:custom", heard);
  link.ask = (question) => model.send({ kind: "ask", question: JSON.stringify(question) });
  link.command = (verb, body = null) => new Promise((told) => {
    waiting.set(++number, told);
    model.send({ kind: "command", verb, body, number });
  });
  return link;
}
