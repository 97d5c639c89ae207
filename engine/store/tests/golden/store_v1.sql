-- A store of format 1 as ferry 0.1.0 left it: a function and four jobs, one failed, one not begun,
-- with links, files, a ticket and a group. Never change it: stores like it are out there.
PRAGMA foreign_keys = OFF;
BEGIN TRANSACTION;
CREATE TABLE computer (
    id       INTEGER PRIMARY KEY,
    uuid     TEXT NOT NULL UNIQUE,
    label    TEXT NOT NULL UNIQUE,
    config   TEXT NOT NULL,
    created  INTEGER NOT NULL,
    modified INTEGER NOT NULL
);
INSERT INTO "computer" VALUES(1,'01a20758-722c-71bc-b7ad-73bc9e64a4ec','localhost','{"label":"localhost","hostname":"localhost","description":"this machine","transport":"local","scheduler":"direct","shebang":"#!/bin/bash","work_dir":"/home/ferry/profiles/default/work","mpirun_command":"mpirun -np {tot_num_mpiprocs}","mpiprocs_per_machine":null,"default_memory_per_machine":null,"use_double_quotes":false,"prepend_text":"","append_text":"","max_queued_jobs":5,"max_active_jobs":null,"submit_rate":null,"poll_interval":null,"connection":{}}',1795419566633656,1795419567409951);
CREATE TABLE gate (
    computer TEXT PRIMARY KEY,
    state    TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO "gate" VALUES('localhost','{"usage":{"queued":1,"active":1,"foreign_queued":0,"foreign_active":0},"clamp":null,"waiting":0,"listed":"2026-11-23T07:39:27.762723372Z"}');
CREATE TABLE group_member (
    node_group INTEGER NOT NULL REFERENCES node_group (id),
    node       INTEGER NOT NULL REFERENCES node (id),
    PRIMARY KEY (node_group, node)
) WITHOUT ROWID;
INSERT INTO "group_member" VALUES(1,1);
INSERT INTO "group_member" VALUES(1,5);
CREATE TABLE link (
    source INTEGER NOT NULL REFERENCES node (id),
    target INTEGER NOT NULL REFERENCES node (id),
    type   TEXT NOT NULL CHECK (type IN ('input_calc', 'input_work', 'create', 'return', 'call_calc', 'call_work')),
    label  TEXT NOT NULL,
    PRIMARY KEY (source, target, type, label)
) WITHOUT ROWID;
INSERT INTO "link" VALUES(2,1,'input_calc','x');
INSERT INTO "link" VALUES(3,1,'input_calc','y');
INSERT INTO "link" VALUES(1,4,'create','result');
INSERT INTO "link" VALUES(6,5,'input_calc','x');
INSERT INTO "link" VALUES(7,5,'input_calc','y');
INSERT INTO "link" VALUES(5,8,'create','remote_folder');
INSERT INTO "link" VALUES(5,9,'create','retrieved');
INSERT INTO "link" VALUES(5,10,'create','sum');
INSERT INTO "link" VALUES(12,11,'input_calc','command');
INSERT INTO "link" VALUES(11,13,'create','remote_folder');
INSERT INTO "link" VALUES(11,14,'create','retrieved');
INSERT INTO "link" VALUES(11,15,'create','stderr');
INSERT INTO "link" VALUES(11,16,'create','stdout');
INSERT INTO "link" VALUES(18,17,'input_calc','x');
INSERT INTO "link" VALUES(19,17,'input_calc','y');
INSERT INTO "link" VALUES(21,20,'input_calc','arguments');
INSERT INTO "link" VALUES(22,20,'input_calc','command');
INSERT INTO "link" VALUES(20,23,'create','remote_folder');
INSERT INTO "link" VALUES(20,24,'create','retrieved');
INSERT INTO "link" VALUES(20,25,'create','stderr');
INSERT INTO "link" VALUES(20,26,'create','stdout');
CREATE TABLE log (
    id      INTEGER PRIMARY KEY,
    process INTEGER NOT NULL REFERENCES process (id),
    time    INTEGER NOT NULL,
    level   TEXT NOT NULL,
    message TEXT NOT NULL
);
INSERT INTO "log" VALUES(1,11,1795419567343827,'error','finished with exit code 400: ERROR_COMMAND_FAILED: the command exited with status 1: it printed no error');
CREATE TABLE node (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid        TEXT NOT NULL UNIQUE,
    kind        TEXT NOT NULL CHECK (kind IN ('data', 'process')),
    type        TEXT NOT NULL,
    label       TEXT NOT NULL,
    description TEXT NOT NULL,
    computer    INTEGER REFERENCES computer (id),
    body        TEXT NOT NULL,
    created     INTEGER NOT NULL,
    modified    INTEGER NOT NULL
);
INSERT INTO "node" VALUES(1,'01a20758-72b7-76b9-b8ef-8e894f443567','process','arithmetic.add','','',NULL,'{}',1795419566775615,1795419566780032);
INSERT INTO "node" VALUES(2,'01a20758-72aa-7151-bdf6-5b085c47ccc9','data','int','','',NULL,'1',1795419566775615,1795419566775615);
INSERT INTO "node" VALUES(3,'01a20758-72aa-7151-bdf6-5b09887dac79','data','int','','',NULL,'2',1795419566775615,1795419566775615);
INSERT INTO "node" VALUES(4,'01a20758-72bb-7542-aced-ae48c44dfaf3','data','int','','',NULL,'3',1795419566780032,1795419566780032);
INSERT INTO "node" VALUES(5,'01a20758-72db-7204-b162-46b9c2ceefa9','process','arithmetic.add_job','','',1,'{"options":{"account":null,"additional_retrieve_list":[],"append_text":"","custom_scheduler_commands":"","environment_variables":{},"environment_variables_double_quotes":false,"import_sys_environment":true,"max_memory_kb":null,"max_wallclock_seconds":null,"mpirun_extra_params":[],"prepend_text":"","priority":null,"qos":null,"queue_name":null,"rerunnable":false,"resources":{"num_cores_per_machine":null,"num_cores_per_mpiproc":null,"num_machines":null,"num_mpiprocs_per_machine":null,"tot_num_mpiprocs":null},"scheduler_stderr":"_scheduler-stderr.txt","scheduler_stdout":"_scheduler-stdout.txt","submit_script_filename":"_ferrysubmit.sh","withmpi":null}}',1795419566812224,1795419566973212);
INSERT INTO "node" VALUES(6,'01a20758-72d0-77a3-ab32-364992913d00','data','int','','',NULL,'3',1795419566812224,1795419566812224);
INSERT INTO "node" VALUES(7,'01a20758-72d0-77a3-ab32-364ab0f69379','data','int','','',NULL,'4',1795419566812224,1795419566812224);
INSERT INTO "node" VALUES(8,'01a20758-72e4-747a-abbb-ab8f6779a27a','data','remote_folder','','',1,'{"computer":"localhost","path":"/home/ferry/profiles/default/work/ef/a9/01a2075872db7204b16246b9c2ce"}',1795419566820417,1795419566820417);
INSERT INTO "node" VALUES(9,'01a20758-7379-72cf-b8fe-37a08dd67ec3','data','folder','','',NULL,'{}',1795419566969599,1795419566969599);
INSERT INTO "node" VALUES(10,'01a20758-737d-77e6-bd5d-e537a271b58f','data','int','','',NULL,'7',1795419566973212,1795419566973212);
INSERT INTO "node" VALUES(11,'01a20758-73ee-7061-82a7-7305a5e7bcdb','process','shell.run','','',1,'{"options":{"account":null,"additional_retrieve_list":[],"append_text":"","custom_scheduler_commands":"","environment_variables":{},"environment_variables_double_quotes":false,"import_sys_environment":true,"max_memory_kb":null,"max_wallclock_seconds":null,"mpirun_extra_params":[],"prepend_text":"","priority":null,"qos":null,"queue_name":null,"rerunnable":false,"resources":{"num_cores_per_machine":null,"num_cores_per_mpiproc":null,"num_machines":null,"num_mpiprocs_per_machine":null,"tot_num_mpiprocs":null},"scheduler_stderr":"_scheduler-stderr.txt","scheduler_stdout":"_scheduler-stdout.txt","submit_script_filename":"_ferrysubmit.sh","withmpi":null}}',1795419567087240,1795419567343827);
INSERT INTO "node" VALUES(12,'01a20758-73b9-779e-80df-3224e2ac923c','data','str','','',NULL,'"false"',1795419567087240,1795419567087240);
INSERT INTO "node" VALUES(13,'01a20758-743b-75bb-bcc0-223bfcd09b38','data','remote_folder','','',1,'{"computer":"localhost","path":"/home/ferry/profiles/default/work/bc/db/01a2075873ee706182a77305a5e7"}',1795419567166040,1795419567166040);
INSERT INTO "node" VALUES(14,'01a20758-74ec-75d7-ad6a-c17fe3feb8e4','data','folder','','',NULL,'{}',1795419567340251,1795419567340251);
INSERT INTO "node" VALUES(15,'01a20758-74ef-73d0-9028-1e5815f34ce5','data','file','','',NULL,'{"filename":"stderr"}',1795419567343827,1795419567343827);
INSERT INTO "node" VALUES(16,'01a20758-74ef-73d0-9028-1e597865bfdf','data','file','','',NULL,'{"filename":"stdout"}',1795419567343827,1795419567343827);
INSERT INTO "node" VALUES(17,'01a20758-75b4-769b-9662-0450b63afe94','process','arithmetic.add_job','','',1,'{"options":{"account":null,"additional_retrieve_list":[],"append_text":"","custom_scheduler_commands":"","environment_variables":{},"environment_variables_double_quotes":false,"import_sys_environment":true,"max_memory_kb":null,"max_wallclock_seconds":null,"mpirun_extra_params":[],"prepend_text":"","priority":null,"qos":null,"queue_name":null,"rerunnable":false,"resources":{"num_cores_per_machine":null,"num_cores_per_mpiproc":null,"num_machines":null,"num_mpiprocs_per_machine":null,"tot_num_mpiprocs":null},"scheduler_stderr":"_scheduler-stderr.txt","scheduler_stdout":"_scheduler-stdout.txt","submit_script_filename":"_ferrysubmit.sh","withmpi":null}}',1795419567541250,1795419567541250);
INSERT INTO "node" VALUES(18,'01a20758-758a-77fc-95f5-6247d8782002','data','int','','',NULL,'5',1795419567541250,1795419567541250);
INSERT INTO "node" VALUES(19,'01a20758-758a-77fc-95f5-6248665a314d','data','int','','',NULL,'6',1795419567541250,1795419567541250);
INSERT INTO "node" VALUES(20,'01a20758-760f-75fc-8c10-201df2c1a180','process','shell.run','','',1,'{"options":{"account":null,"additional_retrieve_list":[],"append_text":"","custom_scheduler_commands":"","environment_variables":{},"environment_variables_double_quotes":false,"import_sys_environment":true,"max_memory_kb":null,"max_wallclock_seconds":null,"mpirun_extra_params":[],"prepend_text":"","priority":null,"qos":null,"queue_name":null,"rerunnable":false,"resources":{"num_cores_per_machine":null,"num_cores_per_mpiproc":null,"num_machines":null,"num_mpiprocs_per_machine":null,"tot_num_mpiprocs":null},"scheduler_stderr":"_scheduler-stderr.txt","scheduler_stdout":"_scheduler-stdout.txt","submit_script_filename":"_ferrysubmit.sh","withmpi":null}}',1795419567631779,1795419567968615);
INSERT INTO "node" VALUES(21,'01a20758-75e6-7451-9afe-d3a483e5a432','data','list','','',NULL,'["1","8000"]',1795419567631779,1795419567631779);
INSERT INTO "node" VALUES(22,'01a20758-75e6-7451-9afe-d3a50d1eb66d','data','str','','',NULL,'"seq"',1795419567631779,1795419567631779);
INSERT INTO "node" VALUES(23,'01a20758-7623-7109-b884-aa05010098e4','data','remote_folder','','',1,'{"computer":"localhost","path":"/home/ferry/profiles/default/work/a1/80/01a20758760f75fc8c10201df2c1"}',1795419567652159,1795419567652159);
INSERT INTO "node" VALUES(24,'01a20758-774a-755b-ad4d-a57d7740630c','data','folder','','',NULL,'{}',1795419567946238,1795419567946238);
INSERT INTO "node" VALUES(25,'01a20758-775f-739a-9301-a9064fe4ceb8','data','file','','',NULL,'{"filename":"stderr"}',1795419567968615,1795419567968615);
INSERT INTO "node" VALUES(26,'01a20758-775f-739a-9301-a907359f86c6','data','file','','',NULL,'{"filename":"stdout"}',1795419567968615,1795419567968615);
CREATE TABLE node_file (
    node       INTEGER NOT NULL REFERENCES node (id),
    path       TEXT NOT NULL,
    digest     TEXT NOT NULL REFERENCES object (digest),
    size       INTEGER NOT NULL,
    executable INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (node, path)
) WITHOUT ROWID;
INSERT INTO "node_file" VALUES(5,'_ferrysubmit.sh','f2f1f163607e98f710cf736f63c7e6c6ec28ad581cc9e7d99210eb8c3c4bb2bd',1627,1);
INSERT INTO "node_file" VALUES(5,'add.sh','80370a2856cb30753a35728cf6e5c2200159045b22c569955a0e83e46b937dd7',153,0);
INSERT INTO "node_file" VALUES(9,'_scheduler-stderr.txt','af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262',0,0);
INSERT INTO "node_file" VALUES(9,'_scheduler-stdout.txt','af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262',0,0);
INSERT INTO "node_file" VALUES(9,'add.out','dedc9531a3ea216ed967a15ede743b4e4d1e9181bf24204cdd6c316171daa2e8',2,0);
INSERT INTO "node_file" VALUES(11,'_ferrysubmit.sh','46cfd0a6fcacf72d134c7bb64caa1fadb108b7a5c81a9a483d315505833d5392',1622,1);
INSERT INTO "node_file" VALUES(14,'_scheduler-stderr.txt','af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262',0,0);
INSERT INTO "node_file" VALUES(14,'_scheduler-stdout.txt','af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262',0,0);
INSERT INTO "node_file" VALUES(14,'stderr','af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262',0,0);
INSERT INTO "node_file" VALUES(14,'stdout','af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262',0,0);
INSERT INTO "node_file" VALUES(15,'stderr','af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262',0,0);
INSERT INTO "node_file" VALUES(16,'stdout','af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262',0,0);
INSERT INTO "node_file" VALUES(20,'_ferrysubmit.sh','41d5d6087911000defaca8b2181a15e124a777d8e9e1711c181af3df7403a251',1627,1);
INSERT INTO "node_file" VALUES(24,'_scheduler-stderr.txt','af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262',0,0);
INSERT INTO "node_file" VALUES(24,'_scheduler-stdout.txt','af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262',0,0);
INSERT INTO "node_file" VALUES(24,'stderr','af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262',0,0);
INSERT INTO "node_file" VALUES(24,'stdout','00238cde9abafbf9e35fe9c426817f87fa5b27c0a4ea2fe46b460d8883d3ddc6',38893,0);
INSERT INTO "node_file" VALUES(25,'stderr','af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262',0,0);
INSERT INTO "node_file" VALUES(26,'stdout','00238cde9abafbf9e35fe9c426817f87fa5b27c0a4ea2fe46b460d8883d3ddc6',38893,0);
CREATE TABLE node_group (
    id          INTEGER PRIMARY KEY,
    uuid        TEXT NOT NULL UNIQUE,
    label       TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    created     INTEGER NOT NULL
);
INSERT INTO "node_group" VALUES(1,'01a20758-7780-7576-9160-289cdb30ea17','runs','',1795419568000347);
CREATE TABLE object (
    digest TEXT PRIMARY KEY,
    size   INTEGER NOT NULL,
    bytes  BLOB -- NULL: a file in the object directory
) WITHOUT ROWID;
INSERT INTO "object" VALUES('00238cde9abafbf9e35fe9c426817f87fa5b27c0a4ea2fe46b460d8883d3ddc6',38893,NULL);
INSERT INTO "object" VALUES('41d5d6087911000defaca8b2181a15e124a777d8e9e1711c181af3df7403a251',1627,X'23212F62696E2F626173680A0A23206665727279277320737461727420676174653A2074686973206A6F622072756E73206F6E63652C2077686F65766572207375626D697474656420697420686F77206F6674656E2E0A66657272795F746F6B656E3D24310A66657272795F6469723D2F746D702F73746F72652D676F6C642D32313339332F70726F66696C65732F64656661756C742F776F726B2F61312F38302F303161323037353837363066373566633863313032303164663263310A636420222466657272795F64697222207C7C20657869742039370A66657272795F6469676573743D0A4946533D2072656164202D722066657272795F646967657374203C202E66657272792F73656E74696E656C0A5B20222466657272795F64696765737422203D206230643362353566323736333361373861316339306332393434313331656230205D207C7C20657869742039370A72656164202D722066657272795F686F7374203C202F70726F632F7379732F6B65726E656C2F686F73746E616D650A72656164202D722066657272795F626F6F74203C202F70726F632F7379732F6B65726E656C2F72616E646F6D2F626F6F745F69640A4946533D2072656164202D722066657272795F73746174203C202F70726F632F24242F737461740A736574202D2D20247B66657272795F7374617423232A29207D0A66657272795F6A6F623D2466657272795F686F73743A2466657272795F626F6F743A24243A247B32307D0A66657272795F726573746172743D300A736574202D2D0A66657272795F6F776E65723D2E66657272792F6F776E65722D2466657272795F746F6B656E2D24240A7072696E7466202725732025732025735C6E2720222466657272795F746F6B656E2220222466657272795F6A6F622220222466657272795F7265737461727422203E20222466657272795F6F776E657222207C7C20657869742039370A69662021206C6E20222466657272795F6F776E657222202E66657272792F72756E20323E202F6465762F6E756C6C3B207468656E0A2020202066657272795F743D2066657272795F6A3D2066657272795F723D0A2020202072656164202D722066657272795F742066657272795F6A2066657272795F72203C202E66657272792F72756E207C7C207B206563686F202266657272793A2063616E6E6F74206D616B652068617264206C696E6B7320696E202466657272795F64697222203E26323B20657869742039373B207D0A202020206966205B20222466657272795F7422203D20222466657272795F746F6B656E22205D202626205B20222466657272795F6A22203D20222466657272795F6A6F6222205D202626205B20222466657272795F7265737461727422202D677420222466657272795F7222205D3B207468656E0A20202020202020206D76202D6620222466657272795F6F776E657222202E66657272792F72756E0A20202020656C73650A20202020202020207072696E7466202725732025735C6E2720222466657272795F746F6B656E2220222466657272795F6A6F6222203E3E202E66657272792F66656E6365640A2020202020202020657869742039380A2020202066690A66690A66657272795F656E642829207B0A2020202066657272795F636F64653D243F0A2020202074726170202D20455849540A202020207072696E7466202725732025732025735C6E2720222466657272795F636F64652220222466657272795F746F6B656E2220222466657272795F6A6F6222203E20222466657272795F6469722F2E66657272792F657869742D2424220A202020206D76202D6620222466657272795F6469722F2E66657272792F657869742D24242220222466657272795F6469722F2E66657272792F65786974220A202020206578697420222466657272795F636F6465220A7D0A747261702066657272795F656E6420455849540A747261702027657869742031323927204855500A74726170202765786974203133302720494E540A747261702027657869742031343327205445524D0A66657272795F7374617475733D300A73657120312038303030203E202E2F7374646F757420323E202E2F7374646572720A66657272795F6C6173743D243F3B205B20222466657272795F73746174757322202D6E652030205D207C7C2066657272795F7374617475733D2466657272795F6C6173740A6578697420222466657272795F737461747573220A');
INSERT INTO "object" VALUES('46cfd0a6fcacf72d134c7bb64caa1fadb108b7a5c81a9a483d315505833d5392',1622,X'23212F62696E2F626173680A0A23206665727279277320737461727420676174653A2074686973206A6F622072756E73206F6E63652C2077686F65766572207375626D697474656420697420686F77206F6674656E2E0A66657272795F746F6B656E3D24310A66657272795F6469723D2F746D702F73746F72652D676F6C642D32313339332F70726F66696C65732F64656661756C742F776F726B2F62632F64622F303161323037353837336565373036313832613737333035613565370A636420222466657272795F64697222207C7C20657869742039370A66657272795F6469676573743D0A4946533D2072656164202D722066657272795F646967657374203C202E66657272792F73656E74696E656C0A5B20222466657272795F64696765737422203D203463373936356561366664376536353566653035626533666436316236323765205D207C7C20657869742039370A72656164202D722066657272795F686F7374203C202F70726F632F7379732F6B65726E656C2F686F73746E616D650A72656164202D722066657272795F626F6F74203C202F70726F632F7379732F6B65726E656C2F72616E646F6D2F626F6F745F69640A4946533D2072656164202D722066657272795F73746174203C202F70726F632F24242F737461740A736574202D2D20247B66657272795F7374617423232A29207D0A66657272795F6A6F623D2466657272795F686F73743A2466657272795F626F6F743A24243A247B32307D0A66657272795F726573746172743D300A736574202D2D0A66657272795F6F776E65723D2E66657272792F6F776E65722D2466657272795F746F6B656E2D24240A7072696E7466202725732025732025735C6E2720222466657272795F746F6B656E2220222466657272795F6A6F622220222466657272795F7265737461727422203E20222466657272795F6F776E657222207C7C20657869742039370A69662021206C6E20222466657272795F6F776E657222202E66657272792F72756E20323E202F6465762F6E756C6C3B207468656E0A2020202066657272795F743D2066657272795F6A3D2066657272795F723D0A2020202072656164202D722066657272795F742066657272795F6A2066657272795F72203C202E66657272792F72756E207C7C207B206563686F202266657272793A2063616E6E6F74206D616B652068617264206C696E6B7320696E202466657272795F64697222203E26323B20657869742039373B207D0A202020206966205B20222466657272795F7422203D20222466657272795F746F6B656E22205D202626205B20222466657272795F6A22203D20222466657272795F6A6F6222205D202626205B20222466657272795F7265737461727422202D677420222466657272795F7222205D3B207468656E0A20202020202020206D76202D6620222466657272795F6F776E657222202E66657272792F72756E0A20202020656C73650A20202020202020207072696E7466202725732025735C6E2720222466657272795F746F6B656E2220222466657272795F6A6F6222203E3E202E66657272792F66656E6365640A2020202020202020657869742039380A2020202066690A66690A66657272795F656E642829207B0A2020202066657272795F636F64653D243F0A2020202074726170202D20455849540A202020207072696E7466202725732025732025735C6E2720222466657272795F636F64652220222466657272795F746F6B656E2220222466657272795F6A6F6222203E20222466657272795F6469722F2E66657272792F657869742D2424220A202020206D76202D6620222466657272795F6469722F2E66657272792F657869742D24242220222466657272795F6469722F2E66657272792F65786974220A202020206578697420222466657272795F636F6465220A7D0A747261702066657272795F656E6420455849540A747261702027657869742031323927204855500A74726170202765786974203133302720494E540A747261702027657869742031343327205445524D0A66657272795F7374617475733D300A66616C7365203E202E2F7374646F757420323E202E2F7374646572720A66657272795F6C6173743D243F3B205B20222466657272795F73746174757322202D6E652030205D207C7C2066657272795F7374617475733D2466657272795F6C6173740A6578697420222466657272795F737461747573220A');
INSERT INTO "object" VALUES('80370a2856cb30753a35728cf6e5c2200159045b22c569955a0e83e46b937dd7',153,X'232075736167653A206164642E73682058205920534C454550204D41524B45523B20746865206C6173742074776F206D617920626520656D7074790A6966205B202D6E2022243422205D3B207468656E20707764203E3E20222434223B2066690A6966205B202D6E2022243322205D3B207468656E20736C65657020222433223B2066690A6563686F20222428282431202B2024322929220A');
INSERT INTO "object" VALUES('af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262',0,X'');
INSERT INTO "object" VALUES('dedc9531a3ea216ed967a15ede743b4e4d1e9181bf24204cdd6c316171daa2e8',2,X'370A');
INSERT INTO "object" VALUES('f2f1f163607e98f710cf736f63c7e6c6ec28ad581cc9e7d99210eb8c3c4bb2bd',1627,X'23212F62696E2F626173680A0A23206665727279277320737461727420676174653A2074686973206A6F622072756E73206F6E63652C2077686F65766572207375626D697474656420697420686F77206F6674656E2E0A66657272795F746F6B656E3D24310A66657272795F6469723D2F746D702F73746F72652D676F6C642D32313339332F70726F66696C65732F64656661756C742F776F726B2F65662F61392F303161323037353837326462373230346231363234366239633263650A636420222466657272795F64697222207C7C20657869742039370A66657272795F6469676573743D0A4946533D2072656164202D722066657272795F646967657374203C202E66657272792F73656E74696E656C0A5B20222466657272795F64696765737422203D203137666665356264646339633439613633623431626136623535303738393933205D207C7C20657869742039370A72656164202D722066657272795F686F7374203C202F70726F632F7379732F6B65726E656C2F686F73746E616D650A72656164202D722066657272795F626F6F74203C202F70726F632F7379732F6B65726E656C2F72616E646F6D2F626F6F745F69640A4946533D2072656164202D722066657272795F73746174203C202F70726F632F24242F737461740A736574202D2D20247B66657272795F7374617423232A29207D0A66657272795F6A6F623D2466657272795F686F73743A2466657272795F626F6F743A24243A247B32307D0A66657272795F726573746172743D300A736574202D2D0A66657272795F6F776E65723D2E66657272792F6F776E65722D2466657272795F746F6B656E2D24240A7072696E7466202725732025732025735C6E2720222466657272795F746F6B656E2220222466657272795F6A6F622220222466657272795F7265737461727422203E20222466657272795F6F776E657222207C7C20657869742039370A69662021206C6E20222466657272795F6F776E657222202E66657272792F72756E20323E202F6465762F6E756C6C3B207468656E0A2020202066657272795F743D2066657272795F6A3D2066657272795F723D0A2020202072656164202D722066657272795F742066657272795F6A2066657272795F72203C202E66657272792F72756E207C7C207B206563686F202266657272793A2063616E6E6F74206D616B652068617264206C696E6B7320696E202466657272795F64697222203E26323B20657869742039373B207D0A202020206966205B20222466657272795F7422203D20222466657272795F746F6B656E22205D202626205B20222466657272795F6A22203D20222466657272795F6A6F6222205D202626205B20222466657272795F7265737461727422202D677420222466657272795F7222205D3B207468656E0A20202020202020206D76202D6620222466657272795F6F776E657222202E66657272792F72756E0A20202020656C73650A20202020202020207072696E7466202725732025735C6E2720222466657272795F746F6B656E2220222466657272795F6A6F6222203E3E202E66657272792F66656E6365640A2020202020202020657869742039380A2020202066690A66690A66657272795F656E642829207B0A2020202066657272795F636F64653D243F0A2020202074726170202D20455849540A202020207072696E7466202725732025732025735C6E2720222466657272795F636F64652220222466657272795F746F6B656E2220222466657272795F6A6F6222203E20222466657272795F6469722F2E66657272792F657869742D2424220A202020206D76202D6620222466657272795F6469722F2E66657272792F657869742D24242220222466657272795F6469722F2E66657272792F65786974220A202020206578697420222466657272795F636F6465220A7D0A747261702066657272795F656E6420455849540A747261702027657869742031323927204855500A74726170202765786974203133302720494E540A747261702027657869742031343327205445524D0A66657272795F7374617475733D300A62617368206164642E736820332034202727202727203E202E2F6164642E6F75740A66657272795F6C6173743D243F3B205B20222466657272795F73746174757322202D6E652030205D207C7C2066657272795F7374617475733D2466657272795F6C6173740A6578697420222466657272795F737461747573220A');
CREATE TABLE plugin (
    digest    TEXT PRIMARY KEY,
    name      TEXT NOT NULL,
    version   TEXT NOT NULL,
    origin    TEXT NOT NULL, -- the path it was admitted from
    bundled   INTEGER NOT NULL,
    active    INTEGER NOT NULL,
    manifest  TEXT NOT NULL,
    facts     TEXT NOT NULL,
    installed INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO "plugin" VALUES('0e25238e08d78b09b1577aae726924fcb470d934104cbd4b7f8c1dcd6e605b02','arithmetic','0.1.0','/opt/ferry/libferry_bundled_arithmetic.so',1,1,'{"proto":1,"plugin":"arithmetic","version":"0.1.0","description":"The smallest plugin: sums and products, as functions and as a job","types":[{"name":"arithmetic.add","kind":"calcfunction","doc":"Adds two integers.\n\n# Errors\nA sum that does not fit into 64 bits.","inputs":{"ports":{"x":{"types":["int"],"required":true,"default":null,"help":"One summand","range":null,"choices":[],"namespace":null},"y":{"types":["int"],"required":true,"default":null,"help":"The other","range":null,"choices":[],"namespace":null}},"dynamic":null},"outputs":{"ports":{"result":{"types":["int"],"required":true,"default":null,"help":"","range":null,"choices":[],"namespace":null}},"dynamic":null},"exit_codes":[],"aliases":[],"cache_version":0},{"name":"arithmetic.add_job","kind":"calcjob","doc":"Adds two integers in a shell on the computer.","inputs":{"ports":{"code":{"types":["code"],"required":false,"default":null,"help":"A bash to run the script with; otherwise the computer''s own `bash`","range":null,"choices":[],"namespace":null},"marker":{"types":["str"],"required":false,"default":null,"help":"Absolute path of a file on the computer to which the job adds one line, its work directory, each time it runs","range":null,"choices":[],"namespace":null},"sleep":{"types":["float"],"required":false,"default":null,"help":"Seconds to sleep before adding, for trials of everything that takes time","range":{"min":0.0,"max":null,"max_exclusive":false},"choices":[],"namespace":null},"x":{"types":["int"],"required":true,"default":null,"help":"One summand","range":null,"choices":[],"namespace":null},"y":{"types":["int"],"required":true,"default":null,"help":"The other","range":null,"choices":[],"namespace":null}},"dynamic":null},"outputs":{"ports":{"sum":{"types":["int"],"required":true,"default":null,"help":"The sum","range":null,"choices":[],"namespace":null}},"dynamic":null},"exit_codes":[{"status":310,"label":"ERROR_READING_OUTPUT_FILE","message":"the output file could not be read","invalidates_cache":false},{"status":320,"label":"ERROR_INVALID_OUTPUT","message":"the output file contains invalid output: {found}","invalidates_cache":false},{"status":410,"label":"ERROR_NEGATIVE_NUMBER","message":"the sum of the operands is a negative number","invalidates_cache":false}],"aliases":["core.arithmetic.add"],"cache_version":1},{"name":"arithmetic.multiply","kind":"calcfunction","doc":"Multiplies two integers.\n\n# Errors\nA product that does not fit into 64 bits.","inputs":{"ports":{"x":{"types":["int"],"required":true,"default":null,"help":"One factor","range":null,"choices":[],"namespace":null},"y":{"types":["int"],"required":true,"default":null,"help":"The other","range":null,"choices":[],"namespace":null}},"dynamic":null},"outputs":{"ports":{"result":{"types":["int"],"required":true,"default":null,"help":"","range":null,"choices":[],"namespace":null}},"dynamic":null},"exit_codes":[],"aliases":[],"cache_version":0}]}','{"abi":"1.0","rustc":"rustc 1.95.0 (59807616e 2026-04-14)","sdk":"0.1.0","stamp":[8943248,1795419566,554221502],"target":"x86_64-unknown-linux-gnu"}',1795419566680616);
INSERT INTO "plugin" VALUES('69af59401bfe5d6cb276d903f6ca0598af39798c293d6cfd5891e19ea62e47b0','shell','0.1.0','/opt/ferry/libferry_bundled_shell.so',1,1,'{"proto":1,"plugin":"shell","version":"0.1.0","description":"Any command as a calcjob","types":[{"name":"shell.run","kind":"calcjob","doc":"Runs any command.\n\nA non-zero exit status is exit code 400; what the command wrote is kept all the same.","inputs":{"ports":{"arguments":{"types":["str","list"],"required":false,"default":null,"help":"Arguments: one line, quoted as in a shell, or a list; `{name}` stands for a node. No shell reads them","range":null,"choices":[],"namespace":null},"code":{"types":["code"],"required":false,"default":null,"help":"The program, as a code; this or `command`","range":null,"choices":[],"namespace":null},"command":{"types":["str"],"required":false,"default":null,"help":"The program: a name in the computer''s PATH, or an absolute path; this or `code`","range":null,"choices":[],"namespace":null},"filenames":{"types":["dict"],"required":false,"default":null,"help":"Names in the work directory, by node; otherwise a file keeps its own and a folder is called like its node","range":null,"choices":[],"namespace":null},"nodes":{"types":[],"required":false,"default":null,"help":"Files, folders and values, by the names that `arguments` uses","range":null,"choices":[],"namespace":{"ports":{},"dynamic":[]}},"outputs":{"types":["list"],"required":false,"default":null,"help":"Paths and globs of what to keep, files or directories; each becomes `files.LABEL`, its path with `_` for all\nbut letters and digits","range":null,"choices":[],"namespace":null},"stdin":{"types":["file"],"required":false,"default":null,"help":"The command''s standard input","range":null,"choices":[],"namespace":null}},"dynamic":null},"outputs":{"ports":{"files":{"types":[],"required":false,"default":null,"help":"What `outputs` asked for","range":null,"choices":[],"namespace":{"ports":{},"dynamic":[]}},"stderr":{"types":["file"],"required":true,"default":null,"help":"What it printed as errors; also when that is nothing","range":null,"choices":[],"namespace":null},"stdout":{"types":["file"],"required":true,"default":null,"help":"What the command printed","range":null,"choices":[],"namespace":null}},"dynamic":null},"exit_codes":[{"status":300,"label":"ERROR_OUTPUT_STATUS_MISSING","message":"the exit status of the command is not known: the job left no exit marker","invalidates_cache":true},{"status":302,"label":"ERROR_OUTPUT_STDOUT_MISSING","message":"the command''s output was not retrieved","invalidates_cache":true},{"status":303,"label":"ERROR_OUTPUT_FILEPATHS_MISSING","message":"asked for in `outputs` but not there: {missing}","invalidates_cache":false},{"status":304,"label":"ERROR_OUTPUT_STDERR_MISSING","message":"the command''s errors were not retrieved","invalidates_cache":true},{"status":400,"label":"ERROR_COMMAND_FAILED","message":"the command exited with status {status}: {stderr}","invalidates_cache":false}],"aliases":["core.shell"],"cache_version":1}]}','{"abi":"1.0","rustc":"rustc 1.95.0 (59807616e 2026-04-14)","sdk":"0.1.0","stamp":[10394064,1795419566,578221503],"target":"x86_64-unknown-linux-gnu"}',1795419566734435);
CREATE TABLE process (
    id              INTEGER PRIMARY KEY REFERENCES node (id),
    kind            TEXT NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('created', 'running', 'waiting', 'finished', 'excepted', 'killed')),
    paused          INTEGER NOT NULL DEFAULT 0,
    kill_requested  INTEGER NOT NULL DEFAULT 0,
    plugin          TEXT NOT NULL,
    status          TEXT,
    exit_status     INTEGER,
    exit_message    TEXT,
    job_id          TEXT,
    scheduler_state TEXT,
    work_dir        TEXT,
    checkpoint      TEXT,
    version         INTEGER NOT NULL DEFAULT 0
);
INSERT INTO "process" VALUES(1,'calcfunction','finished',0,0,'0e25238e08d78b09b1577aae726924fcb470d934104cbd4b7f8c1dcd6e605b02',NULL,0,NULL,NULL,NULL,NULL,NULL,2);
INSERT INTO "process" VALUES(5,'calcjob','finished',0,0,'0e25238e08d78b09b1577aae726924fcb470d934104cbd4b7f8c1dcd6e605b02',NULL,0,NULL,'vm:b129fdf1-549b-4f20-aa97-8c92bdc0d32d:4100:1372295','done','/home/ferry/profiles/default/work/ef/a9/01a2075872db7204b16246b9c2ce',NULL,8);
INSERT INTO "process" VALUES(11,'calcjob','finished',0,0,'69af59401bfe5d6cb276d903f6ca0598af39798c293d6cfd5891e19ea62e47b0',NULL,400,'ERROR_COMMAND_FAILED: the command exited with status 1: it printed no error','vm:b129fdf1-549b-4f20-aa97-8c92bdc0d32d:4296:1372333','done','/home/ferry/profiles/default/work/bc/db/01a2075873ee706182a77305a5e7',NULL,8);
INSERT INTO "process" VALUES(17,'calcjob','created',0,0,'0e25238e08d78b09b1577aae726924fcb470d934104cbd4b7f8c1dcd6e605b02',NULL,NULL,NULL,NULL,NULL,NULL,NULL,0);
INSERT INTO "process" VALUES(20,'calcjob','finished',0,0,'69af59401bfe5d6cb276d903f6ca0598af39798c293d6cfd5891e19ea62e47b0',NULL,0,NULL,'vm:b129fdf1-549b-4f20-aa97-8c92bdc0d32d:4657:1372392','done','/home/ferry/profiles/default/work/a1/80/01a20758760f75fc8c10201df2c1',NULL,9);
CREATE TABLE setting (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO "setting" VALUES('profile.set_up','0.1.0');
CREATE TABLE ticket (
    process  INTEGER PRIMARY KEY REFERENCES process (id),
    computer TEXT NOT NULL,
    token    TEXT NOT NULL,
    queued   INTEGER NOT NULL, -- whether it counts as pending
    taken    INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO "ticket" VALUES(17,'localhost','golden-token',1,1700000000000000);
CREATE INDEX node_label ON node (label) WHERE label <> '';
CREATE INDEX node_type ON node (type);
CREATE INDEX process_live ON process (id) WHERE state IN ('created', 'running', 'waiting');
CREATE INDEX link_target ON link (target);
CREATE UNIQUE INDEX link_input ON link (target, label) WHERE type IN ('input_calc', 'input_work');
CREATE UNIQUE INDEX link_output ON link (source, label) WHERE type IN ('create', 'return');
CREATE UNIQUE INDEX link_creator ON link (target) WHERE type = 'create';
CREATE UNIQUE INDEX link_caller ON link (target) WHERE type IN ('call_calc', 'call_work');
CREATE INDEX log_process ON log (process);
CREATE INDEX ticket_computer ON ticket (computer, queued);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('node',26);
COMMIT;
PRAGMA application_id = 0x46525259;
PRAGMA user_version = 1;
