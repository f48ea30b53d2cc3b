package stat

import (
	"fmt"
	"math"
	"slices"
)

// Interval is a median and between which values the true one lies.
type Interval struct {
	Median, Low, High float64
	Sure              float64 // how sure that is, of 1; less than asked for if there are too few values
}

// MedianInterval returns the median of xs with an interval that has the true median
// in it with at least the probability sure, if xs has values enough. It supposes
// nothing of how they are spread: each value is as likely above the true median as
// below, so the order statistics k and n-k+1 fail to enclose it with the probability
// that fewer than k of n fair coins show heads, twice.
func MedianInterval(xs []float64, sure float64) Interval {
	s := slices.Sorted(slices.Values(xs))
	n := len(s)
	if n == 0 {
		return Interval{}
	}
	i := Interval{Median: (s[(n-1)/2] + s[n/2]) / 2, Low: s[0], High: s[n-1], Sure: 1 - math.Pow(0.5, float64(n-1))}
	below := math.Pow(0.5, float64(n)) // of 0 heads
	term := below
	for k := 1; k < n/2; k++ {
		term *= float64(n-k+1) / float64(k) // of k heads
		if below += term; 1-2*below < sure {
			break
		}
		i.Low, i.High, i.Sure = s[k], s[n-1-k], 1-2*below
	}
	return i
}

// String prints 1.02 (0.99–1.05).
func (i Interval) String() string {
	return fmt.Sprintf("%.2f (%.2f–%.2f)", i.Median, i.Low, i.High)
}
