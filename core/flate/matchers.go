package flate

// Matcher finds earlier occurrences for one deflater at a time. [Matchers] makes
// them; their memory grows with the window.
type Matcher struct{}

// Matchers is what the deflaters of one thread share: a bounded number of
// Matchers and the scratch of the encoder. The zero value holds one Matcher.
// It belongs to one thread.
type Matchers struct{ limit int }

// Init sets how many Matchers there may be, at least one, and drops those there are.
func (ms *Matchers) Init(max int) { ms.limit = max }

// Memory is how many bytes of heap the matchers and the scratch take.
func (ms *Matchers) Memory() int { return 0 }
