use shop;
create table all_types (
 id int unsigned not null auto_increment primary key,
 t1 tinyint, t1u tinyint unsigned, s2 smallint, m3 mediumint, m3u mediumint unsigned, i4 int, b8 bigint, b8u bigint unsigned,
 f float, d double, dec1 decimal(65,30), dec2 decimal(10,2) unsigned, y year,
 b1 bit(1), b17 bit(17), b64 bit(64),
 dt date, tm time, tm3 time(3), tm6 time(6), dtm datetime, dtm2 datetime(2), dtm6 datetime(6), ts timestamp null, ts6 timestamp(6) null,
 c char(10), c_latin1 char(10) character set latin1, v varchar(20), v_long varchar(300), v_gbk varchar(30) character set gbk, v_utf16 varchar(20) character set utf16, v_cp1251 varchar(20) character set cp1251, v_sjis varchar(20) character set sjis,
 bin binary(8), vb varchar(20) character set binary, tt tinytext, tx text, mt mediumtext, lt longtext, tb tinyblob, bl blob, lb longblob,
 e enum('a','b''c','ü'), st set('x','y','z'), st_latin set('é','ö') character set latin1,
 js json, g geometry, p point, poly polygon,
 gen_v int as (i4 + 1) virtual, gen_s bigint as (i4 * 2) stored,
 u uuid, ip6 inet6, ip4 inet4, vc varchar(2000) compressed, tc text compressed
);
insert into all_types (t1,t1u,s2,m3,m3u,i4,b8,b8u,f,d,dec1,dec2,y,b1,b17,b64,dt,tm,tm3,tm6,dtm,dtm2,dtm6,ts,ts6,c,c_latin1,v,v_long,v_gbk,v_utf16,v_cp1251,v_sjis,bin,vb,tt,tx,mt,lt,tb,bl,lb,e,st,st_latin,js,g,p,poly,u,ip6,ip4,vc,tc) values
(-128,255,-32768,-8388608,16777215,-2147483648,-9223372036854775808,18446744073709551615,1.5,-2.25e100,-12345678901234567890123456789012345.123456789012345678901234567890,99999999.99,2026,1,b'10101010101010101',0xffffffffffffffff,'2026-02-28','-838:59:59','12:34:56.789','-00:00:00.000001','9999-12-31 23:59:59','2026-01-01 00:00:00.25','1000-01-01 00:00:00.000001','2026-03-29 01:30:00','2038-01-19 03:14:07.999999','käse','éé','naïve 😀',repeat('ü',300),'中文','日本','Привет','かな',x'0102','a\0b','tiny','text "q" \\ \n','m',repeat('x',1000),x'00ff',x'deadbeef',repeat(x'01',300),'b\'c','x,z','é,ö','{"a": [1, 2.5, "x", null, true], "ü": {}}',st_geomfromtext('LINESTRING(0 0,1 1)'),st_geomfromtext('POINT(1.5 -2)',4326),st_geomfromtext('POLYGON((0 0,4 0,4 4,0 0))'),'123e4567-e89b-12d3-a456-426655440000','2001:db8::ff00:42:8329','192.168.0.1',repeat('compress me ',50),repeat('tc',600));
insert into all_types (id) values (100);
set sql_mode='';
insert into all_types (id,dt,dtm,ts,tm,y,e,st,c,v,bin,dec2,u,vc,tc) values (101,'0000-00-00','0000-00-00 00:00:00','0000-00-00 00:00:00','00:00:00',0,'','','','','',0,'01932b5c-d1f5-7a3c-8a37-0123456789ab','',''),(102,'2026-00-00','2026-01-00 00:00:00',now(),'838:59:59',1901,'a','x','  lead','trail  ','trail   ',0.01,'00000000-0000-0000-0000-000000000000','s','s');
update all_types set v='changed', dec2=1.50 where id=1;
update all_types set id=200, i4=7 where id=100;
delete from all_types where id=102;
begin; insert into all_types (id,v) values (300,'tx'),(301,'tx'); savepoint a; insert into all_types (id) values (302); rollback to a; update all_types set v='ty' where id=301; commit;
alter table all_types add column extra varchar(5) default 'dd' first, rename column v to vv, drop column s2;
insert into all_types (id,vv) values (400,'after');
