package core_test

import (
	"reflect"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// TestNoLimits: every limit set to -1 means none, and everything still works.
func TestNoLimits(t *testing.T) {
	var lim core.Limits
	v := reflect.ValueOf(&lim).Elem()
	for i := range v.NumField() {
		v.Field(i).SetInt(-1)
	}
	w := newWorld(t, sim.Options{}, core.Config{Limits: lim, VHosts: []core.VHost{httpVHost()}})
	silent := w.dial()
	p := w.ws()
	ran := false
	w.eng.Post(func() { ran = true })
	w.k.Advance(24 * time.Hour)
	p.text("still here")
	p.want(`text "still here"`)
	silent.WriteString("GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
	if got := silent.answer(); len(got) == 0 || !ran {
		t.Errorf("after a day: %q, posted %v", got, ran)
	}
	p.close(1000, "")
	w.k.Drive()
	silent.Close()
	w.k.Drive()
}

// TestDefaultsAreDocumented: every limit but MaxConns has a default.
func TestDefaultsAreDocumented(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{httpVHost()}})
	lim := w.eng.VHost("default").Limits()
	v := reflect.ValueOf(lim)
	for i := range v.NumField() {
		if v.Field(i).Int() == 0 {
			t.Errorf("%s has no default", v.Type().Field(i).Name)
		}
	}
}

// TestPingsAndPongsGoTogether: who switched Pings off, or asked for them later than
// PongTimeout's own default, lost every peer that had nothing to say.
func TestPingsAndPongsGoTogether(t *testing.T) {
	const s = time.Second
	for _, k := range []struct{ engine, vhost, want [2]time.Duration }{
		{want: [2]time.Duration{40 * s, 50 * s}},
		{engine: [2]time.Duration{-1, 0}, want: [2]time.Duration{-1, -1}},
		{engine: [2]time.Duration{90 * s, 0}, want: [2]time.Duration{90 * s, 100 * s}},
		{engine: [2]time.Duration{0, 10 * s}, want: [2]time.Duration{8 * s, 10 * s}},
		{engine: [2]time.Duration{0, -1}, want: [2]time.Duration{40 * s, -1}},
		{engine: [2]time.Duration{-1, 30 * s}, want: [2]time.Duration{-1, 30 * s}}, // Conn.ConfirmValid is the proof
		{engine: [2]time.Duration{20 * s, 25 * s}, want: [2]time.Duration{20 * s, 25 * s}},
		{engine: [2]time.Duration{90 * s, 0}, vhost: [2]time.Duration{5 * s, 0}, want: [2]time.Duration{5 * s, 15 * s}},
		{engine: [2]time.Duration{90 * s, 0}, vhost: [2]time.Duration{0, 100 * s}, want: [2]time.Duration{90 * s, 100 * s}},
		{engine: [2]time.Duration{20 * s, 25 * s}, vhost: [2]time.Duration{-1, 0}, want: [2]time.Duration{-1, 25 * s}},
		{engine: [2]time.Duration{0, -1}, vhost: [2]time.Duration{20 * s, 0}, want: [2]time.Duration{20 * s, -1}},
	} {
		vh := httpVHost()
		vh.Limits = core.Limits{PingInterval: k.vhost[0], PongTimeout: k.vhost[1]}
		w := newWorld(t, sim.Options{}, core.Config{Limits: core.Limits{PingInterval: k.engine[0], PongTimeout: k.engine[1]}, VHosts: []core.VHost{vh}})
		lim := w.eng.VHost("default").Limits()
		if got := [2]time.Duration{lim.PingInterval, lim.PongTimeout}; got != k.want {
			t.Errorf("engine %v, vhost %v: %v, want %v", k.engine, k.vhost, got, k.want)
		}
	}
	w := newWorld(t, sim.Options{}, core.Config{Limits: core.Limits{PingInterval: -1}, VHosts: []core.VHost{httpVHost()}})
	p := w.ws()
	w.k.Advance(24 * time.Hour)
	p.text("still here")
	p.want(`text "still here"`)
	p.close(1000, "")
	w.k.Drive()
	p.Close()
	w.k.Drive()
}
