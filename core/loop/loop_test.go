package loop

import (
	"math"
	"testing"
	"time"
)

func TestMillisRoundsUpAndNeverSpins(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want int
	}{
		{-1, -1}, {math.MinInt64, -1}, {0, 0}, {1, 1}, {time.Millisecond, 1},
		{time.Millisecond + 1, 2}, {5 * time.Second, 5000},
		{math.MaxInt64, 1<<31 - 1}, {1 << 31 * time.Millisecond, 1<<31 - 1},
	} {
		if got := Millis(c.d); got != c.want {
			t.Errorf("Millis(%d) = %d, want %d", c.d, got, c.want)
		}
	}
}
