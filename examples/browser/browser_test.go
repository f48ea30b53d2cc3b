//go:build unix

package browser

import (
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

func TestBrowserDrawInOneSeeInTheOther(t *testing.T) {
	s := startServer(t)
	one, other := openPage(t, s.url("")), openPage(t, s.url(""))
	middle := point{120, 90}
	const red = "#e5484d"
	one.do(chromedp.Click(chromedp.CSS(`input[value="` + red + `"]`)))
	one.drag(point{40, 30}, point{200, 150})
	other.waitInk(red, middle)
	// Its own lines come back from the server: the last of them, too, before the clear.
	one.waitInk(red, point{192, 144})

	one.click("mirror-clear")
	if n := eval[int](one, "anyloop.ink()"); n != 0 {
		t.Errorf("%d pixels are left after a clear", n)
	}
	other.waitInk(red, middle) // a clear is the clearing page's own affair
}

func TestBrowserDrawWithKeysAndFingers(t *testing.T) {
	s := startServer(t)
	p := openPage(t, s.url(""))
	p.do(chromedp.Focus(chromedp.ID("mirror-canvas")),
		chromedp.KeyEvent(kb.ArrowRight), // moves from the middle, draws nothing
		chromedp.KeyEvent(kb.ArrowRight, chromedp.KeyModifiers(chromedp.ModifierShift)),
		chromedp.KeyEvent(kb.ArrowRight, chromedp.KeyModifiers(chromedp.ModifierShift)))
	p.waitInk("#3b82f6", point{256, 150})
	if alpha := eval[int](p, "anyloop.pixel(244, 150)[3]"); alpha != 0 {
		t.Error("moving the pen without Shift left a line")
	}

	left, top, scale := p.canvas()
	touch := func(kind input.DispatchTouchEventType, fingers ...point) {
		t.Helper()
		points := []*input.TouchPoint{}
		for i, f := range fingers {
			points = append(points, &input.TouchPoint{X: left + f.x*scale, Y: top + f.y*scale, ID: new(float64(i))})
		}
		params := input.DispatchTouchEventParams{Type: kind, TouchPoints: points}
		if _, err := chromedp.Call(p.ctx, input.DispatchTouchEvent, params); err != nil {
			t.Fatal(err)
		}
	}
	touch(input.DispatchTouchEventTypeTouchStart, point{40, 40}, point{40, 80})
	touch(input.DispatchTouchEventTypeTouchMove, point{100, 40}, point{100, 80})
	touch(input.DispatchTouchEventTypeTouchEnd)
	p.waitInk("#3b82f6", point{70, 40})
	p.waitInk("#3b82f6", point{70, 80})
}

func TestBrowserMirrorInstancesAreApart(t *testing.T) {
	s := startServer(t)
	named, same, plain := openPage(t, s.url("?mirror=attic")), openPage(t, s.url("?mirror=attic")), openPage(t, s.url(""))
	named.drag(point{40, 30}, point{200, 150})
	same.waitInk("#3b82f6", point{120, 90})
	// What was drawn later in the plain instance has arrived, so what was
	// drawn before in the named one would have.
	plain.drag(point{300, 30}, point{440, 30})
	plain.waitInk("#3b82f6", point{370, 30})
	if alpha := eval[int](plain, "anyloop.pixel(120, 90)[3]"); alpha != 0 {
		t.Error("a line drawn in one instance shows in another")
	}
	if alpha := eval[int](named, "anyloop.pixel(370, 30)[3]"); alpha != 0 {
		t.Error("a line drawn in the plain instance shows in a named one")
	}
}

func TestBrowserMirrorSpeaksStockStrokes(t *testing.T) {
	s := startServer(t)
	p := openPage(t, s.url(""))
	c := dialRaw(t, s.addr, "/?mirror=", "lws-mirror-protocol")
	c.send("d #ff0000 10 20 110 20;c #00FF00 200 100 20;")
	p.waitInk("#ff0000", point{60, 20})
	p.waitInk("#00ff00", point{220, 100})
	if got := c.receive(); !strings.HasPrefix(got, "d #ff0000") {
		t.Errorf("the sender's own message came back as %q", got)
	}

	p.drag(point{40, 200}, point{200, 250})
	stock := regexp.MustCompile(`^(d #[0-9a-f]{6}( [0-9]+(\.[0-9])?){4};)+$`)
	if got := c.receive(); !stock.MatchString(got) {
		t.Errorf("the page sent %q", got)
	}
}

func TestBrowserNumberGrowsAndResets(t *testing.T) {
	s := startServer(t)
	p := openPage(t, s.url(""))
	const value = `Number(document.getElementById("inc-value").textContent)`
	p.wait("the number has grown", value+" >= 20")
	eval[bool](p, `(() => { // on a busy machine it may have grown again when we look
		const value = document.getElementById("inc-value");
		let was = Number(value.textContent);
		window.again = false;
		new MutationObserver(() => {
			const is = Number(value.textContent);
			again ||= is < was;
			was = is;
		}).observe(value, { childList: true, characterData: true, subtree: true });
		return true;
	})()`)
	p.click("inc-reset")
	p.wait("the number has started again", "again")
	p.wait("the number grows after a reset", value+" >= 5")
}

func TestBrowserCloseMe(t *testing.T) {
	s := startServer(t)
	p := openPage(t, s.url(""))
	eval[bool](p, `(() => {
		const chip = document.getElementById("inc-state");
		window.said = [];
		new MutationObserver(() => said.push(chip.textContent)).observe(chip, { childList: true });
		return true;
	})()`)
	p.click("inc-close")
	p.wait("the server's reason shows", `said.includes("closed 1001 seeya")`)
	p.waitLive()
	if dimmed := eval[string](p, `document.getElementById("conn-state").dataset.state`); dimmed != "open" {
		t.Errorf("one closed part took the page along: %s", dimmed)
	}
}

func TestBrowserDimsAndRecovers(t *testing.T) {
	s := startServer(t)
	p := openPage(t, s.url(""))
	for _, c := range []struct {
		name string
		stop func()
	}{
		{"interrupt", func() { s.interrupt(t) }},
		{"kill", func() { s.kill() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.stop()
			p.wait("the page is dimmed", `document.getElementById("anyloop-dim").dataset.visible === "true"
				&& document.getElementById("anyloop-dim").checkVisibility({ visibilityProperty: true })
				&& document.body.inert
				&& document.getElementById("conn-state").dataset.state === "lost"`)
			s.start(t)
			p.waitLive()
			p.wait("the number counts again", `document.getElementById("inc-value").textContent > 0`)
			if eval[bool](p, "document.body.inert") {
				t.Error("the page takes no input after it recovered")
			}
		})
	}
}

// A network that vanishes closes nothing. To the page it looks like a server
// that is stopped in the middle: connections stay open, and silent.
func TestBrowserDimsOnSilence(t *testing.T) {
	s := startServer(t)
	p := openPage(t, s.url(""))
	s.signal(t, syscall.SIGSTOP)
	p.wait("the page and its parts count as lost", `document.getElementById("anyloop-dim").dataset.visible === "true"
		&& ["conn-state", "inc-state", "mirror-state", "echo-state"]
			.every((id) => document.getElementById(id).dataset.state === "lost")`)
	s.signal(t, syscall.SIGCONT)
	p.waitLive()
}

func TestBrowserStalledReaderPausesTheOthers(t *testing.T) {
	s := startServer(t)
	pages := []*page{openPage(t, s.url("")), openPage(t, s.url(""))}
	stalled := dialRaw(t, s.addr, "/?mirror=", "lws-mirror-protocol") // and never reads
	for _, p := range pages {
		eval[bool](p, `(() => {
			const chip = document.getElementById("mirror-state");
			let state = chip.dataset.state, since = performance.now(), longest = 0;
			const look = () => { // it may be over when we are asked
				if (state === "paused") longest = Math.max(longest, performance.now() - since);
			};
			new MutationObserver(() => {
				if (chip.dataset.state === state) return;
				look();
				state = chip.dataset.state;
				since = performance.now();
			}).observe(chip, { attributeFilter: ["data-state"] });
			window.pausedFor = (ms) => { look(); return longest > ms; };
			return true;
		})()`)
		p.click("mirror-auto")
	}
	// A busy machine may pause a pen for an instant; a second is the ring's.
	for _, p := range pages {
		p.wait("the drawing is paused for good", "pausedFor(1000)")
	}
	for _, p := range pages {
		p.wait("the drawing flows again", `document.getElementById("mirror-state").dataset.state === "open"`)
		p.click("mirror-clear")
		p.wait("new strokes arrive", "anyloop.ink() > 0")
	}
	stalled.waitDropped()
}

func TestBrowserEchoAndStatus(t *testing.T) {
	s := startServer(t)
	p := openPage(t, s.url(""))
	p.click("echo-start")
	p.wait("a round-trip time shows", `parseFloat(document.getElementById("echo-rtt").textContent) > 0`)
	p.wait("a rate shows", `Number(document.getElementById("echo-rate").textContent.replace(/\D/g, "")) > 0`)
	for _, size := range []string{"16", "65536"} {
		eval[string](p, `document.getElementById("echo-size").value = "`+size+`"`)
		eval[string](p, `document.getElementById("echo-rate").textContent = document.getElementById("echo-rtt").textContent = ""`)
		p.wait("a rate shows for "+size+" bytes", `document.getElementById("echo-rate").textContent !== ""
			&& document.getElementById("echo-rtt").textContent !== ""`)
	}
	p.click("echo-start")
	if state := eval[string](p, `document.getElementById("echo-state").textContent`); state != "live" {
		t.Errorf("the echo says %q", state)
	}

	p.wait("the loop is named", `document.getElementById("status-loop").textContent === "`+*loopName+`"`)
	p.wait("our connections are counted", `Number(document.getElementById("status-open").textContent) >= 4`)
	p.wait("our connections are listed", `["lws-status", "lws-mirror-protocol", "dumb-increment-protocol", "anyloop-echo"]
		.every((name) => document.getElementById("status-conns").textContent.includes(name))`)
	p.wait("the bytes add up", `/[1-9]/.test(document.getElementById("status-rx").textContent)
		&& /[1-9]/.test(document.getElementById("status-tx").textContent)`)
	openPage(t, s.url(""))
	p.wait("the second page's connections are counted", `Number(document.getElementById("status-open").textContent) >= 8`)
}

func TestBrowserPageFitsAnyWidth(t *testing.T) {
	s := startServer(t)
	p := openPage(t, s.url(""))
	for _, width := range []int64{320, 390, 800, 1280, 1920} {
		p.do(chromedp.EmulateViewport(width, 800))
		if got := eval[int64](p, "document.documentElement.scrollWidth"); got > width {
			t.Errorf("the page is %d wide in a window of %d", got, width)
		}
	}
}

// Whoever cannot see the page is told what each control is.
func TestBrowserControlsHaveNames(t *testing.T) {
	s := startServer(t)
	p := openPage(t, s.url(""))
	tree, err := chromedp.Call(p.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]int{}
	for _, node := range tree.Nodes {
		if node.Ignored || node.Role == nil {
			continue
		}
		switch role := strings.Trim(string(node.Role.Value), `"`); role {
		case "button", "radio", "combobox", "ColorWell", "image", "region", "heading":
			if node.Name == nil || strings.Trim(string(node.Name.Value), `"`) == "" {
				t.Errorf("a %s has no name", role)
			}
			named[role]++
		}
	}
	if named["button"] < 5 || named["radio"] < 6 || named["combobox"] < 2 {
		t.Errorf("not all controls were seen: %v", named)
	}
}
