package h1

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestAppendDate holds it against time's own formatting.
func TestAppendDate(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	zone := time.FixedZone("east", 5*3600+1800)
	for i := range 20_000 {
		at := time.Unix(rnd.Int64N(400_000_000_000)-62_200_000_000, rnd.Int64N(1e9)).In(zone)
		if i == 0 {
			at = time.Time{}
		}
		want := at.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")
		if got := string(AppendDate([]byte("date: "), at)); got != "date: "+want {
			t.Fatalf("%q, want %q", got, want)
		}
	}
}
