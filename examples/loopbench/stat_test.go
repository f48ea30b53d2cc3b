package main

import "testing"

// TestInterval: the ranks that tables of the sign test give for 95 %.
func TestInterval(t *testing.T) {
	for n, rank := range map[int]int{1: 1, 5: 1, 6: 1, 8: 1, 9: 2, 11: 2, 12: 3, 15: 4, 20: 6, 41: 14, 100: 40} {
		xs := make([]float64, n)
		for i := range xs {
			xs[i] = float64(n - i) // its own rank, backwards
		}
		lo, hi := interval(xs)
		if lo != float64(rank) || hi != float64(n+1-rank) {
			t.Errorf("of %d: %v..%v, want %d..%d", n, lo, hi, rank, n+1-rank)
		}
	}
}
