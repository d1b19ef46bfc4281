-- Grain: session of exactly one page so far. Key: sid.
-- Inputs: dwd_traffic_session.
--
-- A bounce; a second page takes it back.
CREATE MATERIALIZED VIEW dwd_traffic_user_jump_detail AS
SELECT sid, mid, day, first_time, channel, vc, ar, entry_page
FROM dwd_traffic_session
WHERE pages = 1
