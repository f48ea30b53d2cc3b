package main

import (
	"fmt"
	"io"
	"time"
)

// figures are what one round has cost the server.
type figures struct {
	encodes, delivered, lost int
	copied                   uint64 // bytes copied in user space on their way out
	writes                   uint64 // system calls
	heap                     uint64 // bytes allocated
	user, system             time.Duration
	took                     time.Duration // until the last reading receiver had all
}

// held is what slow receivers' outboxes hold, and what waits below them.
type held struct{ pending, below, messages, dropped int }

// report is what the program prints.
type report struct {
	options
	alone, beside figures // without the slow ones, and with them
	slow          held
}

func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "%d receivers in %d processes, %d messages of %d bytes, %d service thread(s), loop %s\n\n",
		r.receivers, r.children, r.messages, r.size, r.threads, r.loop)
	fmt.Fprintf(w, "%-46s %14s %14s\n", "", "alone", fmt.Sprintf("%d stalled", r.options.slow))
	row := func(what string, of func(figures) any) {
		fmt.Fprintf(w, "%-46s %14v %14v\n", what, of(r.alone), of(r.beside))
	}
	each := float64(r.receivers)
	per := func(f figures, d time.Duration) time.Duration { return d / time.Duration(max(f.delivered, 1)) }
	row("encodes", func(f figures) any { return f.encodes })
	row("messages delivered", func(f figures) any { return f.delivered })
	row("messages that a reading receiver missed", func(f figures) any { return f.lost })
	row("bytes copied in user space per receiver", func(f figures) any { return fmt.Sprintf("%.3f", float64(f.copied)/each) })
	row("heap allocated per receiver, bytes", func(f figures) any { return fmt.Sprintf("%.1f", float64(f.heap)/each) })
	row("write calls per receiver and message", func(f figures) any { return fmt.Sprintf("%.3f", float64(f.writes)/each/float64(r.messages)) })
	row("CPU per delivered message, user", func(f figures) any { return per(f, f.user) })
	row("CPU per delivered message, system", func(f figures) any { return per(f, f.system) })
	row("until the last reading receiver had all", func(f figures) any { return f.took.Round(time.Millisecond) })
	if r.options.slow > 0 {
		fmt.Fprintf(w, "\nthe stalled: %d messages wait, of %d bytes, %d dropped\n",
			r.slow.messages, r.slow.pending, r.slow.dropped)
	}
}
