# METADATA
# title: Business hours
# description: Open on weekdays from `from` to `to` by the clock of a named time zone, which follows its daylight saving.
package authz.hours

timetable := object.union(
	{"zone": "Europe/Berlin", "from": 8, "to": 22, "closed": ["Saturday", "Sunday"]},
	object.get(data.settings, "hours", {}),
)

default open := false

open if {
	now := [time.now_ns(), timetable.zone]
	not time.weekday(now) in timetable.closed
	[hour, _, _] := time.clock(now)
	hour >= timetable.from
	hour < timetable.to
}
