package stat

import (
	"slices"
	"testing"
)

// TestRounds: the order changes, the first round is not in it, and each side's
// figures stay its own.
func TestRounds(t *testing.T) {
	var order []float64
	side := func(x float64) Side {
		return func() (float64, error) {
			order = append(order, x)
			return x*100 + float64(len(order)), nil
		}
	}
	got, err := Rounds(2, side(1), side(2))
	if err != nil {
		t.Fatal(err)
	}
	if want := []float64{1, 2, 2, 1, 1, 2}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
	if want := []float64{104, 105}; !slices.Equal(got[0], want) {
		t.Errorf("the first side: %v, want %v", got[0], want)
	}
	if want := []float64{203, 206}; !slices.Equal(got[1], want) {
		t.Errorf("the second side: %v, want %v", got[1], want)
	}
}

func TestMedianLeavesTheOrder(t *testing.T) {
	xs := []float64{3, 1, 2}
	if Median(xs) != 2 || Quantile(xs, 0.99) != 3 || Quantile(xs, 0) != 1 || !slices.Equal(xs, []float64{3, 1, 2}) {
		t.Errorf("%v", xs)
	}
	if r := Ratios([]float64{2, 9}, []float64{1, 3}); !slices.Equal(r, []float64{2, 3}) {
		t.Errorf("%v", r)
	}
}
