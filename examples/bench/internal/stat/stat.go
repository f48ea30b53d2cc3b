// Package stat is what is made of figures that a noisy machine gives: turns taken
// in short slices, medians, and how far the rest lies from them.
package stat

import (
	"fmt"
	"slices"
)

// Side measures one slice of one side.
type Side func() (float64, error)

// Rounds lets the sides take turns, in the opposite order every other round, and
// returns what each has measured: one row per side, in the order of the rounds. The
// first round warms up and is not in it.
func Rounds(rounds int, sides ...Side) ([][]float64, error) {
	all, err := Turns(rounds+1, sides...)
	for i := range all {
		all[i] = all[i][1:]
	}
	return all, err
}

// Turns is Rounds with sides that are warm: all rounds count.
func Turns(rounds int, sides ...Side) ([][]float64, error) {
	all := make([][]float64, len(sides))
	for i := range rounds {
		for k := range sides {
			if i%2 == 1 {
				k = len(sides) - 1 - k
			}
			x, err := sides[k]()
			if err != nil {
				return nil, err
			}
			all[k] = append(all[k], x)
		}
	}
	return all, nil
}

// Median returns the middle of xs, which it leaves as they are.
func Median(xs []float64) float64 { return Quantile(xs, 0.5) }

// Quantile returns the value below which the part q of xs lies.
func Quantile(xs []float64, q float64) float64 {
	s := slices.Sorted(slices.Values(xs))
	if len(s) == 0 {
		return 0
	}
	return s[min(int(q*float64(len(s))), len(s)-1)]
}

// Ratios divides a by b, pair by pair.
func Ratios(a, b []float64) []float64 {
	r := make([]float64, min(len(a), len(b)))
	for i := range r {
		r[i] = a[i] / b[i]
	}
	return r
}

// Spread prints the median of ratios, and between which of them the middle half
// lies.
func Spread(ratios []float64) string {
	return fmt.Sprintf("%.2f (%.2f..%.2f)", Median(ratios), Quantile(ratios, 0.25), Quantile(ratios, 0.75))
}
