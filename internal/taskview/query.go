package taskview

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/schemas"
)

// Filter selects tasks for [View.List]. Empty members select everything.
type Filter struct {
	UserID   string
	Status   schemas.Status
	Lane     string
	TaskName string
	// Mode and Service are the service's, both or none.
	Mode, Service string
	// Query is text whose words must all be found in the task's input, result,
	// error or message. Words are whole, case and accents do not matter.
	Query string
	// Limit is 1 to MaxListed; 100 if zero.
	Limit int
	// Cursor is the next of the page before; empty for the first page.
	Cursor string
}

const defaultLimit = 100

// page is the key of the last task of a page, in the list's order.
type page struct {
	CreatedMS int64  `json:"c"`
	TaskID    string `json:"t"`
	UserID    string `json:"u"`
	Lane      string `json:"l"`
	Partition int32  `json:"p"`
}

func (p page) String() string {
	b, _ := json.Marshal(p) // plain strings and numbers
	return base64.RawURLEncoding.EncodeToString(b)
}

func parsePage(text string) (page, error) {
	var p page
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(b, &p, json.RejectUnknownMembers(true))
	}
	if err != nil || p.TaskID == "" {
		return page{}, fmt.Errorf("%w: the cursor is not one of a list, pass next_cursor back unchanged", ErrInvalid)
	}
	return p, nil
}

// listSQL builds the statement. Everything a user gave is a bound value.
func listSQL(f Filter) (string, []any, error) {
	var where []string
	var args []any
	add := func(condition string, values ...any) {
		where, args = append(where, condition), append(args, values...)
	}
	for column, value := range map[string]string{
		"user_id": f.UserID, "status": string(f.Status), "lane": f.Lane,
		"task_name": f.TaskName, "mode": f.Mode, "service": f.Service,
	} {
		if value != "" {
			add(column+" = ?", value)
		}
	}
	if f.Query != "" {
		terms := searchTerms(f.Query)
		if terms == nil {
			return "", nil, fmt.Errorf("%w: the search text has no letter or digit", ErrInvalid)
		}
		for _, term := range terms {
			if f.UserID == "" {
				add("id IN (SELECT (rowid & ?) / 2 FROM search WHERE search MATCH ?)", taskMask, term)
				continue
			}
			first, last := userRows(f.UserID)
			add("id IN (SELECT (rowid & ?) / 2 FROM search WHERE search MATCH ? AND rowid BETWEEN ? AND ?)",
				taskMask, term, first, last)
		}
	}
	if f.Cursor != "" {
		p, err := parsePage(f.Cursor)
		if err != nil {
			return "", nil, err
		}
		add("created_ms <= ? AND (created_ms, task_id, user_id, lane, part) < (?, ?, ?, ?, ?)",
			p.CreatedMS, p.CreatedMS, p.TaskID, p.UserID, p.Lane, p.Partition)
	}
	query := "SELECT " + taskColumns + " FROM tasks"
	if len(where) > 0 {
		query += " WHERE " + strings.Join(where, " AND ")
	}
	return query + " ORDER BY created_ms DESC, task_id DESC, user_id DESC, lane DESC, part DESC LIMIT ?", args, nil
}

// list returns one page, and the cursor of the next if there is one. A page
// ends early when it gets large.
func (s *store) list(ctx context.Context, f Filter) ([]Task, string, error) {
	query, args, err := listSQL(f)
	if err != nil {
		return nil, "", err
	}
	pool := s.lists
	if f.Query != "" {
		pool = s.searches
	}
	rows, err := pool.QueryContext(ctx, query, append(args, f.Limit+1)...)
	if err != nil {
		return nil, "", fmt.Errorf("list tasks: %w", err)
	}
	defer func() { _ = rows.Close() }()
	tasks := make([]Task, 0, min(f.Limit, defaultLimit))
	size := 0
	for rows.Next() {
		r, err := scanTask(rows.Scan)
		if err != nil {
			return nil, "", fmt.Errorf("list tasks: %w", err)
		}
		if size += r.size(); len(tasks) == f.Limit || (size > maxPageBytes && len(tasks) > 0) {
			last := &tasks[len(tasks)-1]
			return tasks, page{last.CreatedAt.UnixMilli(), last.TaskID, last.UserID, last.Lane, last.Partition}.String(), nil
		}
		tasks = append(tasks, r.task)
	}
	if err := rows.Err(); err != nil {
		return nil, "", fmt.Errorf("list tasks: %w", err)
	}
	return tasks, "", nil
}

// batch counts a batch's tasks by their status.
func (s *store) batch(ctx context.Context, userID, batchID string) (map[schemas.Status]int, error) {
	rows, err := s.lists.QueryContext(ctx, `SELECT status, count(*) FROM tasks
		WHERE user_id = ? AND batch_id = ? AND batch_id <> '' GROUP BY status`, userID, batchID)
	if err != nil {
		return nil, fmt.Errorf("count tasks of batch: %w", err)
	}
	defer func() { _ = rows.Close() }()
	counts := map[schemas.Status]int{}
	for rows.Next() {
		var status schemas.Status
		var n int
		if err := rows.Scan(&status, &n); err != nil {
			return nil, fmt.Errorf("count tasks of batch: %w", err)
		}
		counts[status] = n
	}
	return counts, rows.Err()
}

// runs returns the runs of an identity, or of every user with the task id.
func (s *store) runs(ctx context.Context, key schemas.TaskKey) ([]row, error) {
	query, args := "SELECT "+taskColumns+" FROM tasks WHERE task_id = ?", []any{key.TaskID}
	if key.UserID != "" {
		query, args = query+" AND user_id = ?", append(args, key.UserID)
	}
	return s.rows(ctx, query+" LIMIT ?", append(args, maxRunsShown)...)
}

// rows reads taskColumns of all rows of a query.
func (s *store) rows(ctx context.Context, query string, args ...any) ([]row, error) {
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("get task: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var found []row
	for rows.Next() {
		r, err := scanTask(rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("get task: %w", err)
		}
		found = append(found, r)
	}
	return found, rows.Err()
}

const selectRunSQL = "SELECT " + taskColumns + " FROM tasks WHERE task_id = ? AND user_id = ? AND lane = ? AND part = ?"

// run returns one run for the reader to change; nil if there is none.
func (s *store) run(ctx context.Context, run runKey) (*row, error) {
	r, err := scanTask(s.runQuery.QueryRowContext(ctx, run.TaskID, run.UserID, run.lane, run.partition).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, damaged(fmt.Errorf("get task: %w", err))
	}
	return &r, nil
}

// unfinished are the next tasks of a status in the order of their creation, with
// what a judgement of their loss needs, and where to go on: at the front after the
// last. With a partition they are only those of it that wait in tasks.scheduled.
func (s *store) unfinished(
	ctx context.Context, status schemas.Status, partition *int32, after walkPlace, limit int,
) ([]Task, walkPlace, error) {
	rows, err := s.lists.QueryContext(ctx, `SELECT created_ms, id, task_id, user_id, lane, part,
		lane_offset, last_offset, deferred, attempt, updated_ms
		FROM tasks INDEXED BY tasks_status WHERE status = ?1 AND created_ms >= ?2 AND (created_ms, id) > (?2, ?3)
		AND (?4 IS NULL OR deferred AND part = ?4)
		ORDER BY created_ms, id LIMIT ?5`, string(status), after.createdMS, after.id, partition, limit)
	if err != nil {
		return nil, after, damaged(fmt.Errorf("list unfinished tasks: %w", err))
	}
	defer func() { _ = rows.Close() }()
	var tasks []Task
	for rows.Next() {
		t := Task{Status: status}
		var updated int64
		err := rows.Scan(&after.createdMS, &after.id, &t.TaskID, &t.UserID, &t.Lane, &t.Partition,
			&t.Offset, &t.LastOffset, &t.Deferred, &t.Attempt, &updated)
		if err != nil {
			return nil, after, damaged(fmt.Errorf("list unfinished tasks: %w", err))
		}
		t.UpdatedAt = atMilli(updated)
		tasks = append(tasks, t)
	}
	if len(tasks) < limit {
		after = walkPlace{}
	}
	return tasks, after, damaged(rows.Err())
}

// payload reads a task's own JSON or its result; nil if there is none.
func (s *store) payload(ctx context.Context, table string, id int64) (jsontext.Value, error) {
	var data []byte
	var sum int64
	err := s.read.QueryRowContext(ctx, "SELECT data, sum FROM "+table+" WHERE id = ?", id).Scan(&data, &sum)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, nil
	case err == nil:
		err = checkSum(data, sum)
	}
	if err != nil {
		return nil, fmt.Errorf("get payload of task: %w", err)
	}
	return data, nil
}

// History is a page of a task's events, each as it stands in the log.
type History struct {
	Events []jsontext.Value
	// Next is the position of the last event, to go on after; empty if there
	// were no more.
	Next string
}

// events returns events of all runs of an identity in the order of the journal.
// The positions are sorted first and the records read one by one: sorting the
// records would hold all of them in memory.
func (s *store) events(ctx context.Context, key schemas.TaskKey, after place, limit int) (History, error) {
	places, rowids, err := s.eventPlaces(ctx, key, after, limit+1)
	if err != nil {
		return History{}, err
	}
	h := History{Events: []jsontext.Value{}}
	size := 0
	for i, rowid := range rowids {
		var data []byte
		var sum int64
		err := s.lists.QueryRowContext(ctx, "SELECT data, sum FROM events WHERE rowid = ?", rowid).Scan(&data, &sum)
		if errors.Is(err, sql.ErrNoRows) {
			continue // the retention came in between
		}
		if err == nil {
			err = checkSum(data, sum)
		}
		if err != nil {
			return History{}, fmt.Errorf("get event: %w", err)
		}
		if size += len(data); i == limit || (size > maxPageBytes && len(h.Events) > 0) {
			h.Next = places[i-1].String()
			return h, nil
		}
		h.Events = append(h.Events, data)
	}
	return h, nil
}

func (s *store) eventPlaces(
	ctx context.Context, key schemas.TaskKey, after place, limit int,
) ([]place, []int64, error) {
	rows, err := s.lists.QueryContext(ctx, `SELECT e.part, e.log_offset, e.rowid
		FROM tasks t JOIN events e ON e.task = t.id
		WHERE t.task_id = ? AND t.user_id = ? AND (e.part, e.log_offset) > (?, ?)
		ORDER BY e.part, e.log_offset LIMIT ?`, key.TaskID, key.UserID, after.partition, after.offset, limit)
	if err != nil {
		return nil, nil, fmt.Errorf("list events: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var places []place
	var rowids []int64
	for rows.Next() {
		var at place
		var rowid int64
		if err := rows.Scan(&at.partition, &at.offset, &rowid); err != nil {
			return nil, nil, fmt.Errorf("list events: %w", err)
		}
		places, rowids = append(places, at), append(rowids, rowid)
	}
	return places, rowids, rows.Err()
}

// place is where an event stands in task-events.
type place struct {
	partition int32
	offset    int64
}

func (p place) String() string { return fmt.Sprintf("%d-%d", p.partition, p.offset) }

func parsePlace(text string) (place, error) {
	if text == "" {
		return place{partition: -1, offset: -1}, nil
	}
	var p place
	n, err := fmt.Sscanf(text, "%d-%d", &p.partition, &p.offset)
	if n != 2 || err != nil || p.String() != text || p.partition < 0 || p.offset < 0 {
		return place{}, fmt.Errorf("%w: after %.40q is not the next of a page of events, pass it back unchanged",
			ErrInvalid, text)
	}
	return p, nil
}
