package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// waitWithin bounds every wait for something to show on a page. It is far
// above what a healthy server needs: a test ends when the thing shows.
const waitWithin = time.Minute

// browser is the one Chromium of all tests; each test opens tabs in it.
var browser struct {
	once sync.Once
	ctx  context.Context // nil until a test needs it
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if browser.ctx != nil {
		if err := chromedp.Cancel(browser.ctx); err != nil {
			fmt.Fprintln(os.Stderr, "closing the browser:", err)
		}
	}
	if buildDir != "" {
		_ = os.RemoveAll(buildDir) // only a temporary folder: leaving it harms nobody
	}
	os.Exit(code)
}

// chromium finds the browser. It skips the test where there is none, except
// in CI, where a missing counterpart is a failure.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "headless-shell"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("ANYLOOP_CI") == "1" {
		t.Fatal("chromium is not installed")
	}
	t.Skip("chromium is not installed")
	return ""
}

// startBrowser starts Chromium at the first call, with a profile of its own
// that goes away with it.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	path := chromium(t)
	browser.once.Do(func() {
		options := append(chromedp.DefaultExecAllocatorOptions[:],
			chromedp.ExecPath(path),
			chromedp.DisableGPU,
			// The sandbox needs what containers and root withhold; the only
			// pages opened are our own.
			chromedp.NoSandbox,
			chromedp.Flag("disable-quic", true),
			chromedp.Flag("disable-component-update", true),
			// Trusts one certificate whoever has signed it, and no other.
			chromedp.Flag("ignore-certificate-errors-spki-list", trustedKey()),
		)
		allocator, _ := chromedp.NewExecAllocator(context.Background(), options...)
		browser.ctx, _ = chromedp.NewContext(allocator)
		browser.err = chromedp.Do(browser.ctx)
	})
	if browser.err != nil {
		t.Fatalf("starting %s: %v", path, browser.err)
	}
	return browser.ctx
}

// A page is one tab that shows examples/server.
type page struct {
	t   *testing.T
	ctx context.Context
}

// openPage opens a tab and waits until all four parts are connected. An
// uncaught exception anywhere in the page fails the test.
func openPage(t *testing.T, url string) *page {
	t.Helper()
	ctx, cancel := chromedp.NewContext(startBrowser(t))
	p := &page{t: t, ctx: ctx}
	done := make(chan struct{})
	messages := chromedp.Console(ctx)
	go func() {
		defer close(done)
		for m, err := range messages {
			if err != nil {
				return
			}
			if m.Type == chromedp.ConsoleException {
				t.Errorf("uncaught in the page: %s (%s:%d)", m.Text, m.URL, m.Line+1)
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	p.do(chromedp.EmulateViewport(1280, 1200), quietNetwork, chromedp.Navigate(url))
	p.waitLive()
	return p
}

// bounded is for one request to the browser, which may itself have hung.
func (p *page) bounded() (context.Context, context.CancelFunc) {
	return context.WithTimeout(p.ctx, 2*waitWithin)
}

// quietNetwork asks the browser not to report network traffic: it would copy
// every WebSocket message of the echo to us, which costs more than the echo.
func quietNetwork(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
	_, err := cdp.Call(ctx, t, network.Disable, cdp.Empty{})
	return chromedp.Void{}, err
}

func (p *page) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := p.bounded()
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

func (p *page) click(id string) {
	p.t.Helper()
	p.do(chromedp.Click(chromedp.ID(id)))
}

// wait returns when a JavaScript expression becomes true.
func (p *page) wait(what, expression string) {
	p.t.Helper()
	ctx, cancel := p.bounded()
	defer cancel()
	_, err := chromedp.Run(ctx, chromedp.Poll[bool]("Boolean("+expression+")",
		chromedp.WithPollingInterval(25*time.Millisecond), chromedp.WithPollingTimeout(waitWithin)))
	if err != nil {
		p.t.Fatalf("waiting until %s (%s): %v\nthe page says: %s", what, expression, err, p.states())
	}
}

// waitLive returns when the page has its server and is not dimmed.
func (p *page) waitLive() {
	p.t.Helper()
	p.wait("all parts are live", `window.anyloop
		&& document.getElementById("anyloop-dim").dataset.visible === "false"
		&& ["conn-state", "inc-state", "mirror-state", "echo-state"]
			.every((id) => document.getElementById(id).dataset.state === "open")`)
}

// states lists the chips of the page, for messages about a failure.
func (p *page) states() string {
	ctx, cancel := p.bounded()
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](
		`[...document.querySelectorAll("[data-state]")].map((e) => e.id + ": " + e.textContent).join(", ")`))
	if err != nil {
		return err.Error()
	}
	return text
}

// eval is the value of a JavaScript expression; promises are awaited.
func eval[T any](p *page, expression string) T {
	p.t.Helper()
	ctx, cancel := p.bounded()
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// A point of the drawing, in its own units: 480 by 300.
type point struct{ x, y float64 }

// canvas brings the drawing into view and returns where its corner is in the
// window and how many CSS pixels one of its units takes.
func (p *page) canvas() (left, top, scale float64) {
	p.t.Helper()
	box := eval[[3]float64](p, `(() => {
		const canvas = document.getElementById("mirror-canvas");
		canvas.scrollIntoView({ block: "center" });
		const { x, y, width } = canvas.getBoundingClientRect();
		return [x, y, width / 480];
	})()`)
	return box[0], box[1], box[2]
}

// drag draws a line with the left mouse button, as a hand does.
func (p *page) drag(from, to point) {
	p.t.Helper()
	left, top, scale := p.canvas()
	at := func(kind input.DispatchMouseEventType, share float64, buttons int64) chromedp.Action[chromedp.Void] {
		x := left + (from.x+(to.x-from.x)*share)*scale
		y := top + (from.y+(to.y-from.y)*share)*scale
		return chromedp.MouseEvent(kind, x, y, chromedp.ButtonLeft,
			func(m *input.DispatchMouseEventParams) { m.Buttons, m.ClickCount = buttons, 1 })
	}
	p.do(at(chromedp.MousePressed, 0, 1))
	for i := 1; i <= 10; i++ {
		p.do(at(chromedp.MouseMoved, float64(i)/10, 1))
	}
	p.do(at(chromedp.MouseReleased, 1, 0))
}

// waitInk returns when the drawing has the colour #rrggbb at a point.
func (p *page) waitInk(colour string, at point) {
	p.t.Helper()
	p.wait(fmt.Sprintf("%v is %s", at, colour), fmt.Sprintf(
		`"#" + anyloop.pixel(%g, %g).slice(0, 3).map((v) => v.toString(16).padStart(2, "0")).join("") === %q`,
		at.x, at.y, colour))
}
