-- Must be empty: days whose registrations are not those of their windows. A query
-- view.
-- Inputs: dwd_user_register, dws_user_user_register_window.
CREATE VIEW audit_register AS
SELECT r.day, r.members, w.members AS members_of_windows
FROM (SELECT day, count(*) AS members FROM dwd_user_register WHERE NOT is_test GROUP BY day) AS r
LEFT JOIN (
  SELECT cur_date AS day, sum(register_ct) AS members FROM dws_user_user_register_window GROUP BY cur_date
) AS w ON w.day = r.day
WHERE r.members <> coalesce(w.members, 0)
