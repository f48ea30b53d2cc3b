package stat

import (
	"math"
	"math/rand"
	"testing"
)

// TestMedianInterval: of nine values it is the second and the eighth, by the
// binomial distribution.
func TestMedianInterval(t *testing.T) {
	for _, c := range []struct {
		n         int
		low, high float64
		sure      float64
	}{
		{9, 2, 8, 1 - 2*10./512},
		{5, 1, 5, 1 - 2./32}, // all there are, and that is too few
		{6, 1, 6, 1 - 2./64},
		{1, 1, 1, 0},
		{21, 6, 16, 0.9734},
	} {
		xs := make([]float64, c.n)
		for i := range xs {
			xs[i] = float64(c.n - i)
		}
		got := MedianInterval(xs, 0.95)
		if got.Median != float64(c.n+1)/2 || got.Low != c.low || got.High != c.high || math.Abs(got.Sure-c.sure) > 1e-4 {
			t.Errorf("%d values: %+v, want %v..%v, %v", c.n, got, c.low, c.high, c.sure)
		}
	}
	if got := MedianInterval([]float64{4, 1, 2, 3}, 0.95); got.Median != 2.5 {
		t.Errorf("of an even number: %v", got)
	}
	if got := MedianInterval(nil, 0.95); got != (Interval{}) {
		t.Errorf("of nothing: %v", got)
	}
}

// TestMedianIntervalHolds: it has the true median in it as often as it says, of
// values that are spread unevenly.
func TestMedianIntervalHolds(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	const tries = 4000
	for _, n := range []int{9, 12, 31} {
		hits, sure := 0, 0.
		for range tries {
			xs := make([]float64, n)
			for i := range xs {
				xs[i] = r.ExpFloat64()
			}
			got := MedianInterval(xs, 0.95)
			if got.Low <= math.Ln2 && math.Ln2 <= got.High {
				hits++
			}
			sure = got.Sure
		}
		if share := float64(hits) / tries; math.Abs(share-sure) > 0.015 || sure < 0.95 {
			t.Errorf("%d values: %.3f of the intervals hold, and they say %.3f", n, share, sure)
		}
	}
}
