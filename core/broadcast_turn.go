package core

const (
	// castTurn and castBytes bound what the groups of one thread hand out in
	// one turn, together: in messages counted per member, and in bytes.
	castTurn  = 1024
	castBytes = 4 << 20
	// castSlice is how many in a row are one group's while others wait.
	castSlice = 256
)

// casting is a thread's groups with messages to hand out. Loop thread only.
type casting struct {
	th     *Thread
	parts  []*groupPart // served in turns, from the front
	budget castBudget   // of this turn
	at     int64        // when it was filled
	node   timerNode    // armed while work is left: the next turn goes on
	inside bool
}

// castBudget is what may still be handed out.
type castBudget struct{ slice, turn, bytes int }

// take takes one message for one member off the budget, if it is there.
func (b *castBudget) take(size int) bool {
	if b.slice <= 0 || b.turn <= 0 || b.bytes <= 0 {
		return false
	}
	b.slice--
	b.turn--
	b.bytes -= size
	return true
}

// casting returns the thread's groups, making the place for them.
func (th *Thread) casting() *casting {
	if th.casts == nil {
		th.casts = &casting{th: th}
		th.casts.node.Owner = th.casts.nextTurn
	}
	return th.casts
}

// add is what a post does: p has messages.
func (c *casting) add(p *groupPart) {
	c.parts = append(c.parts, p)
	if now := c.th.now(); now != c.at {
		c.fill(now)
	}
	c.run()
}

func (c *casting) fill(now int64) {
	c.at = now
	c.budget.turn, c.budget.bytes = castTurn, castBytes
}

// nextTurn is the timer: what an earlier turn has left.
func (c *casting) nextTurn() {
	c.fill(c.th.now())
	c.run()
}

// run serves the groups in turns until nothing is left, or the turn's budget is
// used up.
func (c *casting) run() {
	if c.inside || c.node.Armed() {
		return
	}
	c.inside = true
	defer func() {
		c.inside = false
		if len(c.parts) > 0 {
			c.th.timers.SetAt(&c.node, c.th.now())
			c.th.deadlineMoved()
		}
	}()
	for len(c.parts) > 0 && c.budget.turn > 0 && c.budget.bytes > 0 {
		p := c.parts[0]
		c.budget.slice = castSlice
		done := p.run(&c.budget)
		c.parts[0] = nil
		if c.parts = c.parts[1:]; !done {
			c.parts = append(c.parts, p)
		}
	}
	if len(c.parts) == 0 {
		c.parts = nil
	}
}
