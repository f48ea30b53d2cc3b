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
