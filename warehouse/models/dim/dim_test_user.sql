-- Grain: member of the shop's own, for tests. Key: user_id.
-- Inputs: user_info.
--
-- What they do as members stays in the detail with a flag, and out of the metrics of
-- trade and of members; the pages that they look at count as traffic. A small view of its
-- own, so that other changes of members touch no order.
CREATE MATERIALIZED VIEW dim_test_user AS
SELECT id AS user_id
FROM user_info
WHERE is_test
