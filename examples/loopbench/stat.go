package main

import (
	"math"
	"slices"
)

// median sorts xs.
func median(xs []float64) float64 {
	slices.Sort(xs)
	return xs[len(xs)/2]
}

// interval sorts xs and returns between which of them the true median lies with a
// probability of 95 % at least, whatever their distribution: the binomial one says
// how many of n may lie on one side of it. Fewer than six do not suffice; then it
// is all of them.
func interval(xs []float64) (lo, hi float64) {
	slices.Sort(xs)
	n := len(xs)
	k := -1 // so many may lie below, if one in 40 is wrong
	term := math.Pow(0.5, float64(n))
	for below := term; below <= 0.025 && k < n/2-1; below += term {
		k++
		term *= float64(n-k) / float64(k+1)
	}
	k = max(k, 0)
	return xs[k], xs[n-1-k]
}
