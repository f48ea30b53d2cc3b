//go:build linux

package load

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// pace sends messages of 64 bytes in regular intervals, on connections of its own,
// and returns how long the echoes took.
func (l *load) pace(p Pace) (took []time.Duration, err error) {
	var all sync.WaitGroup
	each, errs := make([][]time.Duration, p.Conns), make([]error, p.Conns)
	for i := range p.Conns {
		c, err := tls.Dial("tcp", l.addr, config())
		if err != nil {
			return nil, err
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(p.For + patience))
		if err := upgrade(c); err != nil {
			return nil, err
		}
		all.Go(func() {
			time.Sleep(p.Every * time.Duration(i) / time.Duration(p.Conns)) // not all at once
			each[i], errs[i] = pacing(c, p)
		})
	}
	all.Wait()
	for _, e := range each {
		took = append(took, e...)
	}
	return took, errors.Join(errs...)
}

func pacing(c io.ReadWriter, p Pace) (took []time.Duration, err error) {
	ask, answer := frames(64)
	got := make([]byte, len(answer))
	tick := time.NewTicker(p.Every)
	defer tick.Stop()
	for range p.For / p.Every {
		<-tick.C
		began := time.Now()
		if _, err := c.Write(ask); err != nil {
			return nil, err
		}
		if _, err := io.ReadFull(c, got); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
		if !bytes.Equal(got, answer) {
			return nil, errors.New("what came back is not what was sent")
		}
	}
	return took, nil
}

// storm makes new handshakes in regular intervals.
func (l *load) storm(s Storm) (sum Shaken, err error) {
	cfg, err := l.shakeConfig(Shake{X25519: s.X25519})
	if err != nil {
		return sum, err
	}
	var all sync.WaitGroup
	var done atomic.Int64
	var mu sync.Mutex
	tick := time.NewTicker(time.Second / time.Duration(s.PerSecond))
	defer tick.Stop()
	for range int(s.For.Seconds() * float64(s.PerSecond)) {
		<-tick.C
		all.Go(func() {
			if _, e := handshake(l.addr, cfg); e != nil {
				mu.Lock()
				err = errors.Join(err, e)
				mu.Unlock()
				return
			}
			done.Add(1)
		})
	}
	all.Wait()
	return Shaken{Done: int(done.Load())}, err
}
