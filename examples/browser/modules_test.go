//go:build unix

package browser

import (
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// The strokes of the mirror come from strangers; each case is a message and
// what is drawn for it.
func TestBrowserStrokes(t *testing.T) {
	s := startServer(t)
	p := openPage(t, s.url(""))
	for _, c := range []struct{ name, text, want string }{
		{"stock line", "d #e5484d 1 2 3 4;", "d #e5484d 1 2 3 4"},
		{"stock circle", "c #00FF7f 1 2 3;", "c #00FF7f 1 2 3"},
		{"named colour", "d black 1 2 3 4;", "d black 1 2 3 4"},
		{"colour last", "d 1 2 3 4 e5484d;", "d #e5484d 1 2 3 4"},
		{"bare colour of digits", "d 123456 1 2 3 4;d 1 2 3 4 123456;", "d #123456 1 2 3 4|d #123456 1 2 3 4"},
		{"several", "c 00ff00 1 2 3;d #0000ff 1.5 -2 3 4;", "c #00ff00 1 2 3|d #0000ff 1.5 -2 3 4"},
		{"line end after it", "c 00ff00 1 2 3;\n", "c #00ff00 1 2 3"},
		{"no end mark", "c 00ff00 1 2 3", "c #00ff00 1 2 3"},
		{"empty", "", ""},
		{"unknown command", "z #000000 1 2 3;constructor 1 2;", ""},
		{"too few", "d #000000 1 2 3;c #000000 1 2;", ""},
		{"too many", "c #000000 1 2 3 4;d #000000 1 2 3 4 5;", ""},
		{"not numbers", "c #000000 x NaN 3;d #000000 1 2 3 Infinity;", ""},
		{"not a colour", "c url(x) 1 2 3;c #00000 1 2 3;", ""},
		{"negative radius", "c #000000 1 2 -3;", ""},
		{"absurd", "c #000000 1 2 1e99;", ""},
		{"a bad one between good ones", "c 00ff00 1 2 3;c 1;c 00ff01 1 2 3;", "c #00ff00 1 2 3|c #00ff01 1 2 3"},
	} {
		got := eval[string](p, `import("/strokes.js").then(({ parse }) => parse(`+strconv.Quote(c.text)+`)
			.map(({ kind, colour, numbers }) => [kind, colour, ...numbers].join(" ")).join("|"))`)
		if got != c.want {
			t.Errorf("%s: %q is drawn as %q, want %q", c.name, c.text, got, c.want)
		}
	}
}

// The dimming script is for pages of others too, so it is tested apart.
func TestBrowserDimScript(t *testing.T) {
	s := startServer(t)
	p := openPage(t, s.url(""))
	const load = `import("/anyloop-dim.js").then((m) => { `
	eval[bool](p, load+`document.getElementById("inc-reset").focus();
		m.dim(true, { zindex: 7, opacity: 40, bgcolor: "rgb(1, 2, 3)", message: "<b>gone" }); return true; })`)
	for _, size := range [][2]int64{{900, 700}, {400, 900}, {1280, 600}} {
		p.do(chromedp.EmulateViewport(size[0], size[1]))
		p.wait("the overlay covers the window, scrolled or not", `(() => {
			scrollTo(0, 300);
			const box = document.getElementById("anyloop-dim").getBoundingClientRect();
			return box.top === 0 && box.left === 0 && innerHeight === box.height
				&& box.width === document.documentElement.clientWidth;
		})()`)
	}
	for _, c := range []struct{ name, expression, want string }{
		{"options", `const o = document.getElementById("anyloop-dim"), [shade, note] = o.children;
			return [o.style.zIndex, shade.style.opacity, shade.style.background, note.textContent].join()`, "7,0.4,rgb(1, 2, 3),<b>gone"},
		{"again", `m.dim(true); const o = document.getElementById("anyloop-dim");
			return [o.style.zIndex, o.children[0].style.opacity, o.textContent,
				document.querySelectorAll("#anyloop-dim").length].join()`, "50,0.7,,1"},
		{"undim", `m.dim(false); return [document.getElementById("anyloop-dim").dataset.visible,
			document.body.inert, document.activeElement.id].join()`, "false,false,inc-reset"},
		{"san", `return [m.san("a&b"), m.san("<i>"), m.san(7)].join()`, "a&b,invalid string,7"},
		{"socketURL", `return [m.socketURL(), m.socketURL("?mirror=x"), m.socketURL("/a")].join(" ")`,
			strings.ReplaceAll("WS/ WS/?mirror=x WS/a", "WS", strings.Replace(s.scheme, "http", "ws", 1)+"://"+s.addr)},
		{"newWS", `return new Promise((ok) => { const ws = m.newWS("/", "anyloop-echo");
			ws.onmessage = (event) => { ws.close(); ok(ws.protocol + " " + event.data); };
			ws.onopen = () => ws.send("hello"); })`, "anyloop-echo hello"},
		{"pageSize", `const { width, height } = m.pageSize();
			return String(width >= innerWidth && height > innerHeight)`, "true"},
	} {
		if got := eval[string](p, load+c.expression+" })"); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
