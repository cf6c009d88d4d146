package authz.hours_test

import data.authz.hours

at(moment) := time.parse_rfc3339_ns(moment)

test_open_at_eight_in_winter if hours.open with time.now_ns as at("2026-01-13T08:00:00+01:00")

test_open_at_eight_in_summer if hours.open with time.now_ns as at("2026-07-14T08:00:00+02:00")

test_closed_before_eight if not hours.open with time.now_ns as at("2026-07-14T07:59:59+02:00")

test_closed_at_ten_in_the_evening if not hours.open with time.now_ns as at("2026-07-14T22:00:00+02:00")

test_closed_on_sunday if not hours.open with time.now_ns as at("2026-07-12T12:00:00+02:00")

test_other_zone if {
	hours.open with time.now_ns as at("2026-07-14T21:00:00Z") with data.settings.hours as {"zone": "America/New_York"}
}
