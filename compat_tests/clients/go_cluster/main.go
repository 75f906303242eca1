// Drives every verb of ipfs-cluster's own client library against one REST API and prints what it saw as JSON lines:
// {"step": …, "value": …} or {"step": …, "error": …, "code": …}.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/api/rest/client"
	"github.com/ipfs/boxo/files"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

func report(step string, value any, err error) {
	line := map[string]any{"step": step, "value": value}
	if err != nil {
		line = map[string]any{"step": step, "error": err.Error()}
		var told api.Error
		if errors.As(err, &told) {
			line["error"], line["code"] = told.Message, told.Code
		}
	}
	out, err := json.Marshal(line)
	must(err)
	fmt.Println(string(out))
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// all collects what a streaming verb sends.
func all[T any](verb func(out chan<- T) error) ([]T, error) {
	out := make(chan T, 16)
	done := make(chan error, 1)
	go func() { done <- verb(out) }()
	found := []T{}
	for item := range out {
		found = append(found, item)
	}
	return found, <-done
}

func cids(pins []api.GlobalPinInfo) []string {
	found := []string{}
	for _, pin := range pins {
		found = append(found, pin.Cid.String())
	}
	sort.Strings(found)
	return found
}

func statuses(pin api.GlobalPinInfo) []string {
	found := []string{}
	for _, info := range pin.PeerMap {
		found = append(found, info.PeerName+" "+info.Status.String())
	}
	sort.Strings(found)
	return found
}

func added(items []api.AddedOutput) []string {
	found := []string{}
	for _, item := range items {
		found = append(found, item.Cid.String()+" "+item.Name)
	}
	return found
}

type driver struct {
	ctx context.Context
	c   client.Client
}

func (d driver) looking() api.ID {
	version, err := d.c.Version(d.ctx)
	report("version", version.Version, err)
	report("health", nil, d.c.Health(d.ctx))
	id, err := d.c.ID(d.ctx)
	must(err)
	report("id", []any{id.ID, id.Peername, len(id.ClusterPeers), id.IPFS.ID, id.Error, id.IPFS.Error}, nil)
	peers, err := all(func(out chan<- api.ID) error { return d.c.Peers(d.ctx, out) })
	names := []string{}
	for _, peer := range peers {
		names = append(names, peer.Peername)
	}
	report("peers", names, err)
	names, err = d.c.MetricNames(d.ctx)
	report("metric names", names, err)
	for _, name := range []string{"ping", "freespace", "nothing"} {
		metrics, err := d.c.Metrics(d.ctx, name)
		valid := 0
		for _, metric := range metrics {
			if metric.Valid && !metric.Expired() && metric.Name == name {
				valid++
			}
		}
		report("metrics "+name, valid, err)
	}
	alerts, err := d.c.Alerts(d.ctx)
	report("alerts", len(alerts), err)
	graph, err := d.c.GetConnectGraph(d.ctx)
	report("graph", []any{graph.ClusterID, len(graph.ClusterLinks), len(graph.IPFSLinks), len(graph.ClustertoIPFS)}, err)
	bandwidth, err := d.c.BandwidthByProtocol(d.ctx)
	report("bandwidth", len(bandwidth), err)
	node, err := d.c.IPFS(d.ctx).ID()
	must(err)
	report("ipfs", node.ID, nil)
	return id
}

func (d driver) peers(id api.ID, other string) {
	found, err := d.c.PeerAdd(d.ctx, id.ID)
	report("peer add", found.Peername, err)
	stranger, err := peer.Decode(other)
	must(err)
	_, err = d.c.PeerAdd(d.ctx, stranger)
	report("peer add unknown", nil, err)
	report("peer rm", nil, d.c.PeerRm(d.ctx, id.ID))
	report("peer rm unknown", nil, d.c.PeerRm(d.ctx, stranger))
}

func (d driver) adding(tree string, car string) api.Cid {
	params := api.DefaultAddParams()
	params.Recursive, params.Name = true, "tree"
	params.Metadata = map[string]string{"kind": "tree"}
	items, err := all(func(out chan<- api.AddedOutput) error { return d.c.Add(d.ctx, []string{tree}, params, out) })
	report("add", added(items), err)
	must(err)
	root := items[len(items)-1]
	report("add allocations", len(root.Allocations), nil)

	params = api.DefaultAddParams()
	params.StreamChannels, params.CidVersion, params.RawLeaves = false, 1, true
	params.Name = "memory"
	content := files.NewMapDirectory(map[string]files.Node{
		"one": files.NewBytesFile([]byte("one\n")), "two": files.NewBytesFile([]byte("two\n")),
	})
	items, err = all(func(out chan<- api.AddedOutput) error {
		return d.c.AddMultiFile(d.ctx, files.NewMultiFileReader(content, true, false), params, out)
	})
	report("add files", added(items), err)

	params = api.DefaultAddParams()
	params.Progress, params.Layout, params.Wrap = true, "trickle", true
	params.ReplicationFactorMin, params.ReplicationFactorMax = 1, 2
	big := files.NewMapDirectory(map[string]files.Node{"big": files.NewBytesFile(make([]byte, 1_000_000))})
	items, err = all(func(out chan<- api.AddedOutput) error {
		return d.c.AddMultiFile(d.ctx, files.NewMultiFileReader(big, true, false), params, out)
	})
	progress := 0
	rest := []api.AddedOutput{}
	for _, item := range items {
		if item.Cid.Defined() {
			rest = append(rest, item)
		} else {
			progress++
		}
	}
	report("add with progress", []any{progress > 0, added(rest)}, err)

	params = api.DefaultAddParams()
	params.Format = "car"
	items, err = all(func(out chan<- api.AddedOutput) error { return d.c.Add(d.ctx, []string{car}, params, out) })
	report("add car", added(items), err)

	params = api.DefaultAddParams()
	params.Chunker = "size-zero"
	_, err = all(func(out chan<- api.AddedOutput) error { return d.c.Add(d.ctx, []string{tree + "/x"}, params, out) })
	report("add badly", nil, err)
	params = api.DefaultAddParams()
	params.Shard = true
	_, err = all(func(out chan<- api.AddedOutput) error { return d.c.Add(d.ctx, []string{tree + "/x"}, params, out) })
	report("add sharded", nil, err)
	return root.Cid
}

func (d driver) wait(cid api.Cid, target api.TrackerStatus) (api.GlobalPinInfo, error) {
	ctx, cancel := context.WithTimeout(d.ctx, 30*time.Second)
	defer cancel()
	return client.WaitFor(ctx, d.c, client.StatusFilterParams{Cid: cid, Target: target, CheckFreq: 50 * time.Millisecond})
}

func (d driver) pinning(content string, root api.Cid) {
	cid, err := api.DecodeCid(content)
	must(err)
	options := api.PinOptions{
		ReplicationFactorMin: 2, ReplicationFactorMax: 2, Name: "pinned by go", ShardSize: 7,
		Metadata: map[string]string{"a": "b"}, ExpireAt: time.Now().Add(time.Hour),
	}
	pin, err := d.c.Pin(d.ctx, cid, options)
	report("pin", []any{pin.Cid, pin.Name, pin.Mode.String(), pin.Metadata, len(pin.Allocations), pin.ShardSize,
		time.Until(pin.ExpireAt).Round(time.Hour).Hours()}, err)
	done, err := d.wait(cid, api.TrackerStatusPinned)
	report("wait for pinned", statuses(done), err)
	allocation, err := d.c.Allocation(d.ctx, cid)
	report("allocation", allocation.Equals(pin), err)
	pin, err = d.c.Pin(d.ctx, root, api.PinOptions{Mode: api.PinModeDirect})
	report("pin direct over recursive", nil, err)
	pin, err = d.c.PinPath(d.ctx, "/ipfs/"+root.String()+"/sub", api.PinOptions{Mode: api.PinModeDirect, Name: "sub"})
	report("pin path", []any{pin.Cid, pin.Mode.String(), int(pin.MaxDepth)}, err)
	_, err = d.c.PinPath(d.ctx, "/ipfs/"+root.String()+"/nothing", api.PinOptions{})
	report("pin path to nothing", nil, err)
	pin, err = d.c.PinPath(d.ctx, "/ipfs/"+root.String(), api.PinOptions{PinUpdate: cid})
	report("pin update", []any{pin.Cid, pin.Name, pin.PinUpdate}, err)
}

func (d driver) listing(content string, root api.Cid) {
	cid, err := api.DecodeCid(content)
	must(err)
	pins, err := all(func(out chan<- api.Pin) error { return d.c.Allocations(d.ctx, api.AllType, out) })
	names := []string{}
	for _, pin := range pins {
		names = append(names, pin.Cid.String()+" "+pin.Name)
	}
	sort.Strings(names)
	report("allocations", names, err)
	pins, err = all(func(out chan<- api.Pin) error { return d.c.Allocations(d.ctx, api.ShardType, out) })
	report("allocations of shards", len(pins), err)
	for _, local := range []bool{false, true} {
		status, err := d.c.Status(d.ctx, cid, local)
		report(fmt.Sprintf("status local=%v", local), []any{status.Name, len(status.PeerMap)}, err)
		found, err := all(func(out chan<- api.GlobalPinInfo) error {
			return d.c.StatusCids(d.ctx, []api.Cid{cid, root}, local, out)
		})
		report(fmt.Sprintf("status cids local=%v", local), cids(found), err)
		found, err = all(func(out chan<- api.GlobalPinInfo) error {
			return d.c.StatusAll(d.ctx, api.TrackerStatusPinned, local, out)
		})
		report(fmt.Sprintf("status all local=%v", local), len(found), err)
		found, err = all(func(out chan<- api.GlobalPinInfo) error { return d.c.RecoverAll(d.ctx, local, out) })
		report(fmt.Sprintf("recover all local=%v", local), len(found), err)
		recovered, err := d.c.Recover(d.ctx, cid, local)
		report(fmt.Sprintf("recover local=%v", local), len(recovered.PeerMap), err)
	}
}

func (d driver) removing(content string, root api.Cid) {
	cid, err := api.DecodeCid(content)
	must(err)
	pin, err := d.c.Unpin(d.ctx, cid)
	report("unpin", []any{pin.Cid, pin.Name}, err)
	_, err = d.c.Unpin(d.ctx, cid)
	report("unpin again", nil, err)
	_, err = d.c.Allocation(d.ctx, cid)
	report("allocation of nothing", nil, err)
	gone, err := d.wait(cid, api.TrackerStatusUnpinned)
	report("wait for unpinned", statuses(gone), err)
	pin, err = d.c.UnpinPath(d.ctx, "/ipfs/"+root.String()+"/sub")
	report("unpin path", []any{pin.Cid, pin.Name}, err)
	for _, local := range []bool{true, false} {
		collected, err := d.c.RepoGC(d.ctx, local)
		freed := 0
		names := []string{}
		for _, one := range collected.PeerMap {
			freed += len(one.Keys)
			names = append(names, one.Peername+one.Error)
		}
		sort.Strings(names)
		report(fmt.Sprintf("repo gc local=%v", local), []any{names, freed > 0}, err)
	}
}

// waiting is a file that ends when a line comes in on the standard input.
type waiting struct{ read bool }

func (w *waiting) Read(buffer []byte) (int, error) {
	if w.read {
		return 0, io.EOF
	}
	w.read = true
	_, _ = fmt.Scanln()
	return copy(buffer, strings.Repeat("x", len(buffer))), nil
}

// breaking adds two files: the second one waits, so that the service's nodes can be taken away in between.
func (d driver) breaking() {
	content := files.NewSliceDirectory([]files.DirEntry{
		files.FileEntry("first", files.NewBytesFile(make([]byte, 300_000))),
		files.FileEntry("second", files.NewReaderFile(&waiting{})),
	})
	params := api.DefaultAddParams()
	out := make(chan api.AddedOutput)
	done := make(chan error, 1)
	go func() {
		done <- d.c.AddMultiFile(d.ctx, files.NewMultiFileReader(content, true, false), params, out)
	}()
	for item := range out {
		report("added", item.Name, nil)
	}
	report("ended", nil, <-done)
}

func main() {
	rest, err := ma.NewMultiaddr(os.Args[2])
	must(err)
	proxy, err := ma.NewMultiaddr(os.Args[3])
	must(err)
	c, err := client.NewDefaultClient(&client.Config{APIAddr: rest, ProxyAddr: proxy, LogLevel: "error"})
	must(err)
	d := driver{context.Background(), c}
	if os.Args[1] == "breaking" {
		d.breaking()
		return
	}
	tree, car, content, stranger := os.Args[4], os.Args[5], os.Args[6], os.Args[7]
	id := d.looking()
	d.peers(id, stranger)
	root := d.adding(tree, car)
	d.pinning(content, root)
	d.listing(content, root)
	d.removing(content, root)
}
