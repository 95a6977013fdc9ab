"""Tables: what each department's system holds about the city, one SELECT per catalogued dataset."""

from __future__ import annotations

from . import vocabulary as words
from .city import departments, literal

# Registered inhabitants, and the dead whom the police have not struck off yet.
REGISTERED = "kind = 'R' AND (NOT dead OR u(i, 'unstruck') < 0.1)"
POLICE = "'连云港市公安局' || replace(replace(county_name, '区', '分局'), '县', '县公安局') || town_name || '派出所'"
OFFICE = "replace(county_name, '县', '县') || '民政局婚姻登记处'"
HOSPITAL_LIST = literal(
    [f"连云港{name}" if name.startswith("市") else name for name, _, _ in words.HOSPITALS]
)


def _hospital(i: str, tag: str) -> str:
    return f"n({i}, '{tag}', 1, {len(words.HOSPITALS)})"


HOSPITAL_CODE = "'3207' || lpad({h}::VARCHAR, 5, '0') || 'MN' || lpad(({h} * 37)::VARCHAR, 11, '0')"


def queries() -> dict[str, str]:
    """The SELECT of every dataset; columns are the dataset's items, plus `_k` as a stable order."""
    d = departments()
    code = {slug: row["code"] for slug, row in d.items()}
    name = {slug: row["name"] for slug, row in d.items()}
    spoiled = {
        "disease": [x[0] for x in words.DISEASES],
        "disease_name": [x[1] for x in words.DISEASES],
        "ward": [x[2] for x in words.DISEASES],
    }
    disease = {k: literal(v) for k, v in spoiled.items()}
    permit = {
        k: literal([x[j] for x in words.PERMITS]) for j, k in enumerate(("name", "type", "content"))
    }
    permit["org"] = literal([name[x[3]] for x in words.PERMITS])
    permit["code"] = literal([code[x[3]] for x in words.PERMITS])
    penalty = {
        k: literal([x[j] for x in words.PENALTIES]) for j, k in enumerate(("type", "fact", "basis"))
    }
    penalty["org"] = literal([name[x[3]] for x in words.PENALTIES])
    penalty["code"] = literal([code[x[3]] for x in words.PENALTIES])
    bureau = "'国家税务总局连云港市' || county_name || '税务局'"
    q: dict[str, str] = {}
    put = q.__setitem__

    # --- 公安 ---
    put(
        "ga_residents",
        f"""SELECT i AS _k, id AS citizen_number, name, CASE WHEN u(i,'fn') < .03 THEN surname(i,'hs') || given(i,'m_old') END AS former_name,
      sex, nationality, birth AS birth_date, CASE WHEN u(i,'bt') < .4 THEN pick(['1','2','3','3','4'], i, 'bt2') END AS blood_type, education, marital AS marital_status,
      region0 AS birth_place, CASE WHEN u(i,'np') < .85 THEN region0 ELSE outside(i,'np2') END AS native_place, household AS household_number,
      CASE pos WHEN 1 THEN '02' WHEN 2 THEN '10' WHEN 3 THEN CASE sex WHEN '1' THEN '20' ELSE '30' END WHEN 4 THEN CASE sex WHEN '1' THEN '20' ELSE '30' END ELSE '50' END AS relation_to_head,
      address AS registered_address, county AS region_code, town AS town_code, code AS village_code, {POLICE} AS police_station,
      CASE WHEN moved THEN ago(n(h,'mv',30,900)) WHEN u(i,'in') < .1 THEN ago(n(i,'mi',900,9000)) END AS moved_in_on,
      CASE WHEN u(i,'in') < .1 THEN outside(i,'from') END AS moved_from, CASE WHEN age > 15 AND u(i,'gp') < .8 THEN phone END AS phone,
      moment(i, 'ga', n(i,'gau',1,1500)) AS update_time FROM person WHERE {REGISTERED}""",
    )
    put(
        "ga_households",
        f"""SELECT p.i AS _k, p.household AS household_number, CASE WHEN u(p.h,'coll') < .01 THEN '2' ELSE '1' END AS household_type, p.name AS head_name,
      p.id AS head_citizen_number, h.size AS member_count, p.address AS registered_address, p.town AS town_code, p.code AS village_code, {POLICE} AS police_station,
      ago(n(p.h,'hreg',100,9000)) AS registered_on, moment(p.h, 'gh', n(p.h,'ghu',1,1500)) AS update_time
      FROM person p JOIN household h ON h.h = p.h WHERE p.kind = 'R' AND p.pos = 1""",
    )
    put(
        "ga_floating",
        """SELECT p.i AS _k, id AS citizen_number, name, sex, birth AS birth_date, nationality, o.origin || surname(i,'vil') || pick(['庄','村','楼','集','湾'], i, 'vil2') || n(i,'vil3',1,200)::VARCHAR || '号' AS registered_address, region0 AS region_code,
      address AS residence_address, town AS town_code, code AS village_code, CASE WHEN u(i,'rr') < .62 THEN '1' WHEN u(i,'rr') < .8 THEN '2' ELSE pick(['3','4','5','6','9'], i, 'rr2') END AS residence_reason,
      ago(n(i,'come',10,2500)) AS moved_in_on, phone, job.unit AS work_unit, moment(i, 'gf', n(i,'gfu',1,900)) AS update_time
      FROM person p JOIN origin o ON o.region = p.region0 LEFT JOIN job USING (i) WHERE kind = 'F'""",
    )
    put(
        "ga_residence_permits",
        f"""SELECT i AS _k, '3207' || lpad(i::VARCHAR, 12, '0') AS licence_number, id AS citizen_number, name, address AS residence_address,
      ago(n(i,'rp',1,360)) AS issued_on, ago(n(i,'rp',1,360)) AS valid_from, ago(n(i,'rp',1,360) - 365) AS valid_to, {POLICE} AS issuing_authority,
      moment(i, 'grp', n(i,'rp',1,360)) AS update_time FROM person WHERE kind = 'F' AND u(i,'hasrp') < .55""",
    )
    put(
        "ga_cancellations",
        f"""SELECT i AS _k, id AS citizen_number, name, death_date + n(i,'cd',1,18)::INTEGER AS cancelled_on, '1' AS cancel_reason, death_date, {POLICE} AS police_station,
      (death_date + n(i,'cd',1,18)::INTEGER)::TIMESTAMP + to_seconds(n(i,'cs',30000,60000)) AS update_time FROM person WHERE dead AND u(i,'unstruck') >= 0.1""",
    )
    owner = "CASE WHEN f.e IS NULL THEN p.name ELSE f.name END"
    put(
        "ga_vehicles",
        f"""SELECT p.i AS _k, '苏G' || substr('ABCDEFGHJKLMNPQRSTUVWXYZ', 1 + (p.i * 7) % 24, 1) || substr('0123456789ABCDEFGHJKLMNPQRSTUVWX', 1 + ((p.i // 24) // 32768) % 32, 1) ||
      substr('0123456789ABCDEFGHJKLMNPQRSTUVWX', 1 + ((p.i // 24) // 1024) % 32, 1) || substr('0123456789ABCDEFGHJKLMNPQRSTUVWX', 1 + ((p.i // 24) // 32) % 32, 1) || substr('0123456789ABCDEFGHJKLMNPQRSTUVWX', 1 + (p.i // 24) % 32, 1) AS plate_number,
      CASE WHEN u(p.i,'pt') < .78 THEN '02' WHEN u(p.i,'pt') < .9 THEN '52' WHEN u(p.i,'pt') < .95 THEN '01' ELSE '07' END AS plate_type,
      CASE WHEN u(p.i,'pt') < .9 THEN pick(['K33','K33','K33','K31','H31'], p.i, 'vt') WHEN u(p.i,'pt') < .95 THEN pick(['H11','H21','K11'], p.i, 'vt') ELSE 'M21' END AS vehicle_type,
      CASE WHEN u(p.i,'pt') BETWEEN .9 AND .95 THEN 'F' WHEN u(p.i,'vu') < .02 THEN 'D' ELSE 'A' END AS vehicle_use, pick({literal(words.CARS)}, p.i, 'car') AS vehicle_brand,
      'LYGMN' || lpad(p.i::VARCHAR, 12, '0') AS vin, {owner} AS owner_name, CASE WHEN f.e IS NULL THEN p.id ELSE f.credit_code END AS owner_number,
      ago(n(p.i,'vr',10,4500)) AS registered_on, ago(n(p.i,'vi',-700,60)) AS inspected_until, CASE WHEN u(p.i,'vs') < .95 THEN 'A' ELSE pick(['M','G','H'], p.i, 'vs2') END AS status, p.phone,
      moment(p.i, 'gv', n(p.i,'gvu',1,1200)) AS update_time
      FROM person p LEFT JOIN firm f ON f.e = CASE WHEN u(p.i,'fleet') < .3 THEN p.i END WHERE p.age >= 20 AND NOT p.dead AND u(p.i,'car?') < .3""",
    )
    put(
        "ga_drivers",
        """SELECT i AS _k, id AS citizen_number, name, CASE WHEN u(i,'dc') < .7 THEN 'C1' WHEN u(i,'dc') < .88 THEN 'C2' ELSE pick(['B2','A2','A1','B1','D','E'], i, 'dc2') END AS driving_class,
      ago(n(i,'dl',100,6500)) AS first_issued_on, ago(n(i,'dv',1,2100)) AS valid_from, ago(n(i,'dv',1,2100) - 2190) AS valid_to,
      CASE WHEN u(i,'ds') < .96 THEN 'A' ELSE pick(['B','G','M','J'], i, 'ds2') END AS driver_status, CASE WHEN u(i,'pp') < .75 THEN 0 ELSE n(i,'pp2',1,12) END AS penalty_points,
      '3207' || lpad((i * 13)::VARCHAR, 8, '0') AS file_number, phone, moment(i, 'gd', n(i,'gdu',1,1200)) AS update_time
      FROM person WHERE age BETWEEN 18 AND 72 AND NOT dead AND u(i,'drv') < .48""",
    )

    # --- 民政、残联 ---
    couple = "(SELECT a.*, b.id AS wife_id, b.name AS wife FROM person a JOIN person b ON a.h = b.h AND a.pos = 1 AND b.pos = 2 WHERE a.kind = 'R' AND b.kind = 'R')"
    put(
        "mz_marriages",
        f"""SELECT i AS _k, 'J' || county || '-' || year(ago(greatest(30, (age - 26) * 365 + n(i,'md',0,300))))::VARCHAR || '-' || lpad(h::VARCHAR, 7, '0') AS marriage_certificate, name AS male_name, id AS male_number, wife AS female_name, wife_id AS female_number,
      ago(greatest(30, (age - 26) * 365 + n(i,'md',0,300))) AS registered_on, {OFFICE} AS registration_authority, CASE WHEN u(i,'mr') < .04 THEN '补领结婚证' END AS remark FROM {couple}""",
    )
    put(
        "mz_divorces",
        f"""SELECT i AS _k, 'L' || county || '-' || year(ago(n(i,'dvc',30,3000)))::VARCHAR || '-' || lpad(h::VARCHAR, 7, '0') AS divorce_certificate, 'J' || county || '-' || year(ago(n(i,'dvc',30,3000) + 2000))::VARCHAR || '-' || lpad((h * 3)::VARCHAR, 7, '0') AS marriage_certificate,
      name AS male_name, id AS male_number, fname AS female_name, fid AS female_number, ago(n(i,'dvc',30,3000)) AS registered_on, {OFFICE} AS registration_authority
      FROM (SELECT m.*, f.name AS fname, f.id AS fid FROM (SELECT *, row_number() OVER (ORDER BY u(i,'pair')) AS r FROM person WHERE marital = '40' AND sex = '1') m
        JOIN (SELECT *, row_number() OVER (ORDER BY u(i,'pair')) AS r FROM person WHERE marital = '40' AND sex = '2') f USING (r))""",
    )
    put(
        "mz_social_orgs",
        f"""SELECT e AS _k, k AS credit_code, county_name || nm AS entity_name, kd AS organisation_kind, boss AS legal_representative, sup AS supervising_unit,
      round(3 + u(e,'soc') * 47)::DECIMAL(17,4) AS registered_capital, founded AS founded_on, '开展' || nm || '章程规定的公益、学术、行业交流和服务活动' AS business_scope, address, '1' AS status, ago(n(e,'sov',-1400,100)) AS valid_to
      FROM (SELECT *, s || credit_check(s) AS k FROM (SELECT *, CASE kd WHEN '社会团体' THEN '51' WHEN '民办非企业单位' THEN '52' ELSE '53' END || county || 'MN' || (800000 + e)::VARCHAR || org_check((800000 + e)::VARCHAR) AS s
        FROM (SELECT *, pick(['社会团体','社会团体','社会团体','民办非企业单位','民办非企业单位','基金会'], e, 'sok') AS kd, pick(['水晶产业协会','渔业协会','书法家协会','老年大学','青少年篮球俱乐部','慈善会','物流商会','养老服务中心','西游记文化研究会','民办幼儿园','义工联合会','紫菜协会','围棋协会','社会工作服务中心'], e, 'son') AS nm,
        pick({literal([name[s] for s in ("mz", "jy", "wl", "ty", "ny", "gx", "wj")])}, e, 'sos') AS sup FROM firm WHERE e % 4 = 1)))""",
    )
    put(
        "mz_low_income",
        f"""SELECT p.i AS _k, p.id AS citizen_number, p.name, hd.id AS head_citizen_number, CASE WHEN p.urban THEN '11' ELSE '12' END AS relief_type, (400 + 10 * n(p.h,'ra',0,42))::DECIMAL(10,2) AS relief_amount,
      p.size AS support_count, pick({literal(words.RELIEF_REASONS)}, p.h, 'rea') AS relief_reason, bank(p.h,'lb') AS bank_account, p.address AS residence_address, p.town AS town_code, p.code AS village_code, ago(n(p.h,'la',40,2500)) AS approved_on,
      moment(p.i, 'ml', n(p.i,'mlu',1,40)) AS update_time FROM person p JOIN person hd ON hd.h = p.h AND hd.kind = 'R' AND hd.pos = 1 WHERE p.kind = 'R' AND NOT p.dead AND u(p.h,'low') < .024""",
    )
    put(
        "mz_temporary_relief",
        f"""SELECT i AS _k, 'LS' || strftime(ago(n(i,'tr',20,700)), '%Y%m%d') || lpad(i::VARCHAR, 7, '0') AS record_number, id AS citizen_number, name, pick({literal(words.RELIEF_REASONS)}, i, 'trr') AS relief_reason, (500 + 100 * n(i,'tra',0,75))::DECIMAL(10,2) AS relief_amount,
      ago(n(i,'tr',20,700)) AS handled_on, town AS town_code, bank(i,'trb') AS bank_account, CASE WHEN u(i,'trm') < .1 THEN '紧急程序先行救助' END AS remark FROM person WHERE NOT dead AND age > 17 AND u(i,'temp') < .008""",
    )
    put(
        "mz_elderly",
        """SELECT i * 10 + m AS _k, id AS citizen_number, name, birth AS birth_date, CASE WHEN age < 90 THEN '1' WHEN age < 100 THEN '2' ELSE '3' END AS allowance_level, (CASE WHEN age < 90 THEN 60 WHEN age < 100 THEN 120 ELSE 500 END)::DECIMAL(10,2) AS amount,
      strftime(today() - to_months(m::INTEGER), '%Y%m') AS paid_month, bank(i,'eb') AS bank_account, code AS village_code FROM person, range(1, 4) r(m) WHERE kind = 'R' AND NOT dead AND age > 80""",
    )
    put(
        "mz_cremations",
        """SELECT i AS _k, 'HH' || strftime(death_date, '%Y') || lpad(i::VARCHAR, 8, '0') AS record_number, id AS citizen_number, name, sex, death_date, death_date + n(i,'cr',1,3)::INTEGER AS cremated_on, county_name || '殡仪馆' AS funeral_home, surname(i,'hs') || given(i,'m_mid') AS handler_name, phone(i,'crp') AS phone
      FROM person WHERE dead AND u(i,'crem') < .93""",
    )
    put(
        "cl_disabled",
        """SELECT i AS _k, id || dt || dl AS licence_number, id AS citizen_number, name, sex, dt AS disability_type, dl AS disability_level, CASE WHEN dt IN ('5','6') THEN surname(i,'hs') || given(i,'m_mid') END AS guardian_name, phone,
      CASE WHEN moved THEN old_address ELSE address END AS residence_address, town AS town_code, ago(n(i,'cli',200,3400)) AS issued_on, ago(n(i,'cli',200,3400) - 3652) AS valid_to
      FROM (SELECT *, pick(['4','4','4','1','2','5','6','7','3'], i, 'dt') AS dt, pick(['1','2','2','3','3','4','4'], i, 'dlv') AS dl FROM person WHERE kind = 'R' AND NOT dead AND u(i,'dis') < CASE WHEN age > 60 THEN .09 ELSE .025 END)""",
    )

    # --- 人社 ---
    insured = "age BETWEEN 20 AND 90 AND u(i,'ins') < .93 AND (NOT dead OR u(i,'stillpaid') < .12)"
    put(
        "rs_insured",
        f"""SELECT p.i AS _k, '3207' || lpad(p.i::VARCHAR, 10, '0') AS personal_insurance_number, id AS citizen_number, name, sex, birth AS birth_date,
      CASE WHEN job.e IS NOT NULL THEN '110' WHEN age >= 60 AND u(i,'pens') < .35 THEN '110' WHEN u(i,'civil') < .05 THEN '120' ELSE '170' END AS insurance_type, CASE WHEN age >= 60 THEN '4' WHEN u(i,'inss') < .9 THEN '1' ELSE '2' END AS insurance_status,
      ago(least((age - 18) * 365, n(i,'inso',100,9000))) AS insured_on, job.credit_code AS unit_credit_code, job.unit AS unit_name, CASE WHEN moved THEN old_address ELSE address END AS residence_address, CASE WHEN u(i,'ph2') < .06 THEN phone(i,'newph') ELSE phone END AS phone,
      moment(i, 'ri', n(i,'riu',1,800)) AS update_time FROM person p LEFT JOIN job USING (i) WHERE {insured}""",
    )
    put(
        "rs_contributions",
        """SELECT p.i * 10 + m AS _k, id AS citizen_number, strftime(today() - to_months(m::INTEGER), '%Y%m') AS report_month, '110' AS insurance_type, base AS contribution_base, round(base * 0.08, 2)::DECIMAL(10,2) AS personal_payment, round(base * 0.16, 2)::DECIMAL(10,2) AS unit_payment, job.credit_code AS unit_credit_code,
      date_trunc('month', today() - to_months(m::INTEGER))::DATE + 14 AS paid_on, (date_trunc('month', today() - to_months(m::INTEGER)) + to_days(15) + to_seconds(n(p.i,'rcs',30000,60000))) AS update_time
      FROM (SELECT *, (4879 + 100 * n(i,'base',0,120))::DECIMAL(10,2) AS base FROM person) p JOIN job USING (i), range(1, 7) r(m)""",
    )
    put(
        "rs_pensions",
        f"""SELECT p.i * 10 + m AS _k, id AS citizen_number, name, ago((age - 60) * 365 + n(i,'ret',0,364)) AS retired_on, CASE WHEN u(i,'pens') < .35 THEN (2300 + 10 * n(i,'pa',0,300)) ELSE 220 + n(i,'pa2',0,80) END::DECIMAL(10,2) AS pension_amount, strftime(today() - to_months(m::INTEGER), '%Y%m') AS paid_month,
      CASE WHEN u(i,'pens') < .35 THEN '110' ELSE '170' END AS insurance_type, bank(i,'pb') AS bank_account, (date_trunc('month', today() - to_months(m::INTEGER)) + to_days(9) + to_seconds(36000)) AS update_time
      FROM person p, range(1, 4) r(m) WHERE age > 60 AND {insured}""",
    )
    put(
        "rs_unemployed",
        """SELECT i AS _k, 'SY' || strftime(ago(n(i,'un',41,700) - 10), '%Y%m') || lpad(i::VARCHAR, 7, '0') AS record_number, id AS citizen_number, name, education, ago(n(i,'un',51,700)) AS unemployed_on, pick(['1','2','2','3','4','5','5','9'], i, 'unr') AS unemployment_reason, '连云港' || pick(['恒瑞','云海','港城','赣榆','东方'], i, 'unw') || pick(['纺织','机械','商贸','食品'], i, 'unx') || '有限公司' AS last_unit,
      ago(n(i,'un',51,700) - 10) AS registered_on, phone, town AS town_code, moment(i, 'ru', n(i,'un',51,700) - 10) AS update_time FROM person WHERE age BETWEEN 20 AND 58 AND job_x IS NULL AND NOT dead AND kind = 'R' AND u(i,'une') < .08""",
    )
    put(
        "rs_employment",
        f"""SELECT p.i AS _k, 'JY' || lpad(p.i::VARCHAR, 10, '0') AS record_number, id AS citizen_number, name, job.credit_code AS unit_credit_code, job.unit AS unit_name, ago(n(i,'em',5,3000)) AS employed_on, CASE WHEN u(i,'ct') < .75 THEN '1' ELSE '2' END AS contract_type, ago(n(i,'em',5,3000)) AS valid_from,
      CASE WHEN u(i,'ct') < .75 THEN ago(n(i,'em',5,3000) - 365 * n(i,'cy',1,5)) END AS valid_to, pick({literal(words.JOBS)}, i, 'occ') AS occupation, moment(i, 're', n(i,'em',5,3000)) AS update_time FROM person p JOIN job USING (i)""",
    )
    put(
        "rs_skills",
        f"""SELECT i AS _k, 'S00003207MN' || lpad(i::VARCHAR, 8, '0') AS licence_number, id AS citizen_number, name, pick({literal(words.SKILLS)}, i, 'sk') AS skill_occupation, pick(['1','2','3','3','4','4','5'], i, 'skl') AS skill_level, ago(n(i,'ski',30,2500)) AS issued_on,
      pick(['连云港技师学院','江苏省连云港中等专业学校','连云港市职业技能鉴定中心'], i, 'skn') AS institution_name, (60 + n(i,'sks',0,380) / 10.0)::DECIMAL(5,2) AS rating_score FROM person WHERE age BETWEEN 18 AND 59 AND NOT dead AND u(i,'skill') < .05""",
    )

    # --- 卫健、医保 ---
    put(
        "wj_births",
        f"""SELECT b.i AS _k, 'Y' || lpad((b.i * 11)::VARCHAR, 9, '0') AS birth_certificate, b.name AS newborn_name, b.sex, b.birth::TIMESTAMP + to_seconds(n(b.i,'bt',0,86399)) AS birth_time, n(b.i,'bw',2300,4300) AS birth_weight,
      mo.name AS mother_name, mo.id AS mother_number, fa.name AS father_name, fa.id AS father_number, {HOSPITAL_LIST}[{_hospital("b.i", "bh")}] AS institution_name, least(b.birth + n(b.i,'bi',3,20)::INTEGER, ago(1)) AS issued_on, b.address AS residence_address
      FROM person b JOIN person mo ON mo.h = b.h AND mo.pos = 2 AND mo.kind = 'R' LEFT JOIN person fa ON fa.h = b.h AND fa.pos = 1 AND fa.kind = 'R' WHERE b.kind = 'R' AND b.pos IN (3,4) AND b.age < 7""",
    )
    put(
        "wj_deaths",
        f"""SELECT i AS _k, 'SW3207' || strftime(death_date, '%Y') || lpad(i::VARCHAR, 8, '0') AS record_number, id AS citizen_number, name, sex, death_date, pick({literal(words.DEATH_CAUSES)}, i, 'dcause') AS diagnosis_code, {HOSPITAL_LIST}[{_hospital("i", "dh")}] AS institution_name, death_date + n(i,'di',0,3)::INTEGER AS issued_on FROM person WHERE dead""",
    )
    visit_h = _hospital("i * 10 + m", "vh")
    put(
        "wj_visits",
        f"""SELECT i * 10 + m AS _k, 'MZ' || lpad((i * 10 + m)::VARCHAR, 14, '0') AS visit_number, id AS citizen_number, name, {HOSPITAL_CODE.format(h=visit_h)} AS institution_code, {HOSPITAL_LIST}[{visit_h}] AS institution_name,
      pick(['1','1','1','2','3','4'], i * 10 + m, 'vty') AS visit_type, moment(i * 10 + m, 'vt', n(i * 10 + m,'vd',1,365)) AS visit_time, {disease["ward"]}[dx] AS medical_department, {disease["disease"]}[dx] AS diagnosis_code, {disease["disease_name"]}[dx] AS diagnosis_name, fee AS total_fee,
      round(fee * rate, 2)::DECIMAL(10,2) AS fund_paid, fee - round(fee * rate, 2)::DECIMAL(10,2) AS self_paid
      FROM (SELECT *, n(i * 10 + m,'dx',1,{len(words.DISEASES)}) AS dx, round(20 + pow(u(i * 10 + m,'fee'), 4) * 1900, 2)::DECIMAL(10,2) AS fee, CASE WHEN u(i,'vr') < .5 THEN .5 ELSE .6 END AS rate
        FROM person, range(0, 4) r(m) WHERE NOT dead AND u(i * 10 + m,'sick') < CASE WHEN age > 60 THEN .55 WHEN age < 7 THEN .45 ELSE .2 END)""",
    )
    put(
        "wj_institutions",
        f"""SELECT e AS _k, {HOSPITAL_CODE.format(h="e")} AS institution_code, CASE WHEN e <= {len(words.HOSPITALS)} THEN {HOSPITAL_LIST}[e] ELSE town_name || CASE ty WHEN 'C200' THEN '卫生院' WHEN 'B100' THEN '社区卫生服务中心' WHEN 'D600' THEN village_name || '卫生室' ELSE surname(e,'cln') || pick(['氏诊所','医生口腔诊所','济生堂中医诊所'], e, 'clx') END END AS institution_name,
      CASE WHEN ty <> 'D600' THEN s || credit_check(s) END AS credit_code, ty AS institution_type, CASE WHEN e <= 5 THEN '3' WHEN e <= {len(words.HOSPITALS)} THEN '2' WHEN ty IN ('C200','B100') THEN '1' ELSE '9' END AS institution_level, CASE WHEN e <= {len(words.HOSPITALS)} THEN n(e,'bed',300,2200) WHEN ty IN ('C200','B100') THEN n(e,'bed',20,99) ELSE 0 END AS bed_count,
      boss AS legal_representative, address, phone, 'PDY' || lpad((e * 7919)::VARCHAR, 8, '0') || '320700' AS permit_number, ago(n(e,'wi',30,1500)) AS issued_on, ago(n(e,'wi',30,1500)) AS valid_from, ago(n(e,'wi',30,1500) - 1826) AS valid_to
      FROM (SELECT *, pick(['D600','D600','D600','D200','D200','C200','B100'], e, 'wty') AS ty0, CASE WHEN e <= {len(words.HOSPITALS)} THEN {literal([x[1] for x in words.HOSPITALS])}[e] ELSE ty0 END AS ty, '12' || county || 'MN' || (900000 + e)::VARCHAR || org_check((900000 + e)::VARCHAR) AS s FROM firm WHERE e <= 40 + (SELECT count(*) FROM firm) // 4)""",
    )
    put(
        "wj_vaccinations",
        """SELECT p.i * 100 + r.k AS _k, id AS citizen_number, name, birth AS birth_date, vac AS vaccine, dose, birth + after::INTEGER AS vaccinated_on, 'MN' || lpad(n(p.i * 100 + r.k,'bat',0,999999)::VARCHAR, 6, '0') AS batch_number, town_name || '预防接种门诊' AS institution_name, CASE WHEN u(i,'vg') < .9 THEN surname(i,'hs') || given(i,'f_mid') END AS guardian_name
      FROM person p, (VALUES (1,'01',1,0),(2,'02',1,1),(3,'01',2,31),(4,'03',1,62),(5,'03',2,93),(6,'04',1,94),(7,'04',2,125),(8,'01',3,184),(9,'06',1,245),(10,'09',1,250),(11,'10',1,550),(12,'14',1,400)) r(k, vac, dose, after)
      WHERE age < 7 AND NOT dead AND birth + after::INTEGER < today() AND u(p.i * 100 + r.k,'skip') > .03""",
    )
    put(
        "yb_insured",
        """SELECT p.i AS _k, id AS citizen_number, name, sex, birth AS birth_date, nationality, CASE WHEN job.e IS NOT NULL OR age >= 60 AND u(i,'pens') < .35 THEN '310' ELSE '390' END AS insurance_type, CASE WHEN u(i,'ybs') < .96 THEN '1' ELSE '2' END AS insurance_status, job.unit AS unit_name,
      ago(least(greatest(age, 1) * 365, n(i,'ybo',60,7000))) AS insured_on, CASE WHEN moved AND u(i,'ybm') < .4 THEN old_address ELSE address END AS residence_address, CASE WHEN u(i,'ph3') < .05 THEN phone(i,'newph') ELSE phone END AS phone, moment(i, 'yi', n(i,'yiu',1,700)) AS update_time
      FROM person p LEFT JOIN job USING (i) WHERE NOT dead AND u(i,'yb') < .97""",
    )
    put(
        "yb_settlements",
        f"""SELECT i * 10 + m AS _k, 'YB' || lpad((i * 10 + m)::VARCHAR, 16, '0') AS record_number, id AS citizen_number, {HOSPITAL_CODE.format(h=visit_h)} AS institution_code, pick(['1','1','1','2','3'], i * 10 + m, 'vty') AS visit_type, pick({disease["disease"]}, i * 10 + m, 'dx') AS diagnosis_code, fee AS total_fee, round(fee * .55, 2)::DECIMAL(10,2) AS fund_paid, fee - round(fee * .55, 2)::DECIMAL(10,2) AS self_paid,
      moment(i * 10 + m, 'vt', n(i * 10 + m,'vd',1,365)) AS settled_at, moment(i * 10 + m, 'vt', n(i * 10 + m,'vd',1,365)) + to_minutes(n(i,'ybmn',1,90)::INTEGER) AS update_time
      FROM (SELECT *, round(20 + pow(u(i * 10 + m,'fee'), 4) * 1900, 2)::DECIMAL(10,2) AS fee FROM person, range(0, 4) r(m) WHERE NOT dead AND u(i * 10 + m,'sick') < CASE WHEN age > 60 THEN .45 ELSE .15 END)""",
    )

    # --- 教育 ---
    put(
        "jy_schools",
        """SELECT k AS _k, sc AS school_code, nm AS school_name, ty AS school_type, CASE WHEN u(k,'scn') < .8 THEN '1' ELSE '2' END AS school_nature, surname(k,'scp') || given(k,'m_mid') AS legal_representative, '江苏省连云港市' || county_name || town_name || road(k,'scr') || n(k,'scx',1,200)::VARCHAR || '号' AS address, county AS region_code, town AS town_code,
      st AS student_count, 1 + st // 14 AS teacher_count, ago(n(k,'scf',2000,24000)) AS founded_on, landline(k,'sct') AS phone FROM school""",
    )
    put(
        "jy_students",
        """SELECT p.i AS _k, 'G' || id AS student_number, id AS citizen_number, p.name, sex, birth AS birth_date, nationality, s.sc AS school_code, s.nm AS school_name, CASE WHEN p.age < 12 THEN ['一','二','三','四','五','六'][p.age - 5] || '年级' WHEN p.age < 15 THEN ['七','八','九'][p.age - 11] || '年级' ELSE '高' || ['一','二','三'][p.age - 14] END AS grade, n(p.i,'cls',1,8)::VARCHAR || '班' AS class_name,
      CASE WHEN u(p.i,'sst') < .985 THEN '1' ELSE pick(['2','4'], p.i, 'sst2') END AS student_status, make_date(year(today()) - (CASE WHEN p.age < 12 THEN p.age - 6 WHEN p.age < 15 THEN p.age - 12 ELSE p.age - 15 END)::INTEGER - 1, 9, 1) AS enrolled_on, surname(p.i,'hs') || given(p.i,'m_mid') AS guardian_name, phone, p.address AS residence_address, moment(p.i, 'js', n(p.i,'jsu',1,300)) AS update_time
      FROM (SELECT t.*, 1 + draw % many AS seat FROM (SELECT *, CASE WHEN age < 12 THEN '211' WHEN age < 15 THEN '311' ELSE '342' END AS want, (hash(town, i % 3) >> 12)::BIGINT AS draw
        FROM person WHERE age BETWEEN 6 AND 17 AND NOT dead AND u(i,'std') < .98) t JOIN (SELECT ty, count(*) AS many FROM school GROUP BY ty) c ON c.ty = t.want) p
      JOIN (SELECT *, row_number() OVER (PARTITION BY ty ORDER BY k) AS place FROM school) s ON s.ty = p.want AND s.place = p.seat""",
    )
    put(
        "jy_teacher_licences",
        f"""SELECT i AS _k, strftime(ago(n(i,'tl',300,9000)), '%Y') || '3207' || lpad(i::VARCHAR, 9, '0') AS licence_number, id AS citizen_number, name, sex, '21' AS education, pick(['1','2','2','3','3','4','5'], i, 'tll') AS teacher_level, pick({literal(words.SUBJECTS)}, i, 'tls') AS teaching_subject, ago(n(i,'tl',300,9000)) AS issued_on, county_name || '教育局' AS issuing_authority, county_name || pick(['实验小学','中学','实验中学','幼儿园'], i, 'tlw') AS work_unit
      FROM person WHERE age BETWEEN 23 AND 60 AND education IN ('21','14','31') AND NOT dead AND u(i,'tea') < .06""",
    )

    # --- 住房 ---
    put(
        "gjj_accounts",
        """SELECT p.i AS _k, '0700' || lpad(p.i::VARCHAR, 10, '0') AS fund_account, id AS citizen_number, name, job.credit_code AS unit_credit_code, job.unit AS unit_name, CASE WHEN u(i,'gs') < .88 THEN '1' ELSE '2' END AS account_status, base AS contribution_base, round(base * pick(['0.10','0.16','0.20','0.24'], p.i, 'gr')::DECIMAL(4,2), 2)::DECIMAL(10,2) AS monthly_deposit, round(u(i,'gb') * 150000, 2)::DECIMAL(12,2) AS fund_balance,
      ago(n(i,'go',60,6000)) AS opened_on, phone, moment(i, 'gj', n(i,'gju',1,60)) AS update_time FROM (SELECT *, (4879 + 100 * n(i,'base',0,120))::DECIMAL(10,2) AS base FROM person) p JOIN job USING (i) WHERE u(i,'gjj') < .62""",
    )
    put(
        "gjj_withdrawals",
        """SELECT p.i AS _k, 'TQ' || strftime(ago(n(i,'gw',2,700)), '%Y%m%d') || lpad(p.i::VARCHAR, 8, '0') AS record_number, '0700' || lpad(p.i::VARCHAR, 10, '0') AS fund_account, id AS citizen_number, name, pick(['01','02','02','02','03','04','08'], i, 'gwr') AS withdraw_reason, (1000 + 100 * n(i,'gwa',0,700))::DECIMAL(10,2) AS withdraw_amount, ago(n(i,'gw',2,700)) AS handled_on, bank(i,'gwb') AS bank_account
      FROM person p JOIN job USING (i) WHERE u(i,'gjj') < .62 AND u(i,'gjw') < .2""",
    )
    builder = "JOIN (SELECT *, row_number() OVER (ORDER BY e) - 1 AS r, count(*) OVER () AS many FROM firm WHERE word = '房地产开发') f"
    put(
        "zj_contracts",
        f"""SELECT p.i AS _k, 'LYG' || strftime(ago(n(p.i,'zc',5,3500)), '%Y') || lpad(p.i::VARCHAR, 9, '0') AS contract_number, p.name AS buyer_name, p.id AS buyer_number, f.name AS developer_name, f.credit_code AS developer_code, pick({literal(words.ESTATES)}, f.e, 'prj') || '项目' AS project_name, p.address AS property_location, area AS property_area, '10' AS property_use, round(area * n(p.i,'zp',5200,11800), 2)::DECIMAL(17,2) AS contract_price,
      ago(n(p.i,'zc',5,3500)) AS signed_on, moment(p.i, 'zc', n(p.i,'zc',5,3500)) AS update_time FROM (SELECT *, round(68 + u(i,'ar') * 90, 2)::DECIMAL(10,2) AS area FROM person WHERE urban AND pos = 1 AND age > 24 AND NOT dead AND u(i,'buy') < .35) p {builder} ON f.r = p.i % f.many""",
    )
    put(
        "zj_presales",
        f"""SELECT f.e * 10 + m AS _k, '连房预售字' || year(ago(n(f.e * 10 + m,'zs',20,2400)))::VARCHAR || '第' || lpad((f.e * 10 + m)::VARCHAR, 6, '0') || '号' AS permit_number, pick({literal(words.ESTATES)}, f.e, 'prj') || m::VARCHAR || '期' AS project_name, f.name AS developer_name, f.credit_code, f.address, round(8000 + u(f.e * 10 + m,'pa') * 60000, 2)::DECIMAL(10,2) AS area, n(f.e * 10 + m,'pu',60,560) AS units,
      ago(n(f.e * 10 + m,'zs',20,2400)) AS issued_on, '{name["zj"]}' AS issuing_authority, ago(n(f.e * 10 + m,'zs',20,2400) - 1095) AS valid_to FROM firm f, range(1, 5) r(m) WHERE word = '房地产开发'""",
    )

    # --- 自然资源 ---
    put(
        "zr_properties",
        """SELECT i AS _k, '苏（' || year(ago(n(i,'zr',30,3500)))::VARCHAR || '）连云港市不动产权第' || lpad(i::VARCHAR, 7, '0') || '号' AS property_certificate, county || '001001GB' || lpad((i % 99999)::VARCHAR, 5, '0') || 'F' || lpad((i % 9999)::VARCHAR, 4, '0') || '0001' AS property_unit_number, name AS owner_name, id AS citizen_number, CASE WHEN urban THEN '05' ELSE '07' END AS right_type, CASE WHEN size > 1 THEN '1' ELSE '0' END AS ownership_share, '10' AS property_use,
      round(60 + u(i,'zar') * 120, 2)::DECIMAL(10,2) AS property_area, CASE WHEN moved THEN old_address ELSE address END AS property_location, town AS town_code, ago(n(i,'zr',30,3500)) AS registered_on, moment(i, 'zr', n(i,'zr',30,3500)) AS update_time FROM person WHERE kind = 'R' AND pos = 1 AND NOT dead AND u(i,'own') < .72""",
    )
    put(
        "zr_mortgages",
        f"""SELECT i AS _k, '苏（' || year(ago(n(i,'zm',30,3000)))::VARCHAR || '）连云港市不动产证明第' || lpad(i::VARCHAR, 7, '0') || '号' AS record_number, '苏（' || year(ago(n(i,'zr',30,3500)))::VARCHAR || '）连云港市不动产权第' || lpad(i::VARCHAR, 7, '0') || '号' AS property_certificate, name AS owner_name, id AS citizen_number, pick({literal(words.BANKS)}, i, 'zb') AS mortgagee, (100000 + 10000 * n(i,'zma',0,110))::DECIMAL(17,2) AS mortgage_amount,
      ago(n(i,'zm',30,3000)) AS valid_from, ago(n(i,'zm',30,3000) - 3650 - 365 * n(i,'zmy',0,20)) AS valid_to, ago(n(i,'zm',30,3000)) AS registered_on, CASE WHEN u(i,'zmc') < .2 THEN ago(n(i,'zm',30,3000) // 3) END AS cancelled_on, moment(i, 'zm', n(i,'zm',30,3000) // 3) AS update_time
      FROM person WHERE kind = 'R' AND pos = 1 AND NOT dead AND urban AND u(i,'own') < .72 AND u(i,'mort') < .4""",
    )
    put(
        "zr_land_supply",
        """SELECT e AS _k, '3207' || strftime(ago(n(e,'zl',20,2500)), '%Y') || 'B' || lpad(e::VARCHAR, 6, '0') AS contract_number, name || pick(['厂房','研发中心','仓储基地','住宅','商业综合体'], e, 'zlp') || '项目' AS project_name, credit_code, name AS holder_name, round(5000 + u(e,'zla') * 95000, 2)::DECIMAL(12,2) AS land_area, CASE WHEN section = 'K' THEN '0701' WHEN section = 'G' THEN '0604' WHEN section IN ('C','D') THEN '0601' ELSE '0501' END AS land_use, pick(['4','4','4','3','5','1'], e, 'zls') AS supply_mode,
      round((5000 + u(e,'zla') * 95000) * n(e,'zlq',180,4200), 2)::DECIMAL(17,2) AS price, address, county AS region_code, ago(n(e,'zl',20,2500)) AS signed_on FROM firm WHERE u(e,'land') < .2""",
    )

    # --- 市场主体 ---
    authority = "CASE WHEN u(e,'auth') < .2 THEN '连云港市市场监督管理局' ELSE county_name || '市场监督管理局' END"
    put(
        "scjg_enterprises",
        f"""SELECT e AS _k, credit_code, name AS entity_name, CASE WHEN founded < DATE '2015-10-01' THEN '3207' || lpad((e * 97)::VARCHAR, 11, '0') END AS registration_number, CASE WHEN name LIKE '%股份%' THEN '1200' ELSE pick(['1130','1130','1150','1100','5100'], e, 'et') END AS entity_type, boss AS legal_representative, boss_id AS legal_rep_number, capital AS registered_capital, 'CNY' AS currency, round(capital * u(e,'paid'), 4)::DECIMAL(17,4) AS paid_capital, founded AS founded_on,
      least(founded + n(e,'apv',0,2000)::INTEGER, ago(1)) AS approved_on, section AS industry_section, industry AS industry_code, scope AS business_scope, address AS business_address, county AS region_code, town AS town_code, {authority} AS registration_authority, status AS entity_status, CASE WHEN status = '3' THEN least(founded + n(e,'cnc',2000,3000)::INTEGER, ago(2)) END AS cancelled_on, phone, moment(e, 'se', n(e,'seu',1,1200)) AS update_time FROM firm""",
    )
    put(
        "scjg_individuals",
        """SELECT e AS _k, credit_code, name AS entity_name, CASE WHEN founded < DATE '2015-10-01' THEN '3207' || lpad((e * 89 + 6)::VARCHAR, 11, '0') END AS registration_number, boss AS operator_name, boss_id AS operator_number, founded AS founded_on, section AS industry_section, '一般项目：' || CASE section WHEN 'H' THEN '餐饮服务（凭许可证经营）' WHEN 'O' THEN '居民服务、修理服务' ELSE '日用百货、食品零售' END AS business_scope, address AS business_address, town AS town_code, county_name || '市场监督管理局' AS registration_authority, status AS entity_status, boss_phone AS phone, moment(e, 'si', n(e,'siu',1,1200)) AS update_time FROM shop""",
    )
    put(
        "bb_institutions",
        f"""SELECT e AS _k, s || credit_check(s) AS credit_code, county_name || nm AS entity_name, boss AS legal_representative, org AS organiser, pick(['1','1','2','3'], e, 'bbf') AS funding_source, round(10 + u(e,'bbc') * 900)::DECIMAL(17,4) AS registered_capital, '承担' || nm || '相关公益服务职责' AS business_scope, address, ago(n(e,'bbv',30,1500)) AS valid_from, ago(n(e,'bbv',30,1500) - 1826) AS valid_to, '1' AS entity_status
      FROM (SELECT *, '12' || county || 'MN' || (950000 + e)::VARCHAR || org_check((950000 + e)::VARCHAR) AS s, pick(['实验小学','中心幼儿园','图书馆','文化馆','水利工程管理处','农业技术推广中心','疾病预防控制中心','公路事业发展中心','不动产登记中心','就业服务中心','档案馆','体育运动学校'], e, 'bbn') AS nm, pick({literal([name[s] for s in ("jy", "wl", "sl", "ny", "wj", "jt", "zr", "rs")])}, e, 'bbo') AS org FROM firm WHERE e % 5 = 2) """,
    )
    put(
        "scjg_annual_reports",
        """SELECT e * 10 + y AS _k, credit_code, name AS entity_name, (year(today()) - y)::VARCHAR AS report_year, n(e,'emp',1,160) AS employee_count, round(capital * (1 + u(e * 10 + y,'ast') * 4), 2)::DECIMAL(17,2) AS total_assets, round(capital * u(e * 10 + y,'rev') * 5, 2)::DECIMAL(17,2) AS revenue, round(capital * (u(e * 10 + y,'pro') - .25) * .6, 2)::DECIMAL(17,2) AS net_profit, make_date((year(today()) - y + 1)::INTEGER, 1 + (e % 6)::INTEGER, 1 + (e % 27)::INTEGER) AS reported_on, phone, address, lower('mn' || e::VARCHAR || '@example.cn') AS email
      FROM firm, range(1, 3) r(y) WHERE status = '1' AND year(founded) <= year(today()) - y AND u(e,'rep') < .93""",
    )
    put(
        "scjg_food_licences",
        """SELECT e AS _k, 'JY' || CASE t WHEN '1' THEN '1' WHEN '2' THEN '2' ELSE '3' END || county || lpad(e::VARCHAR, 7, '0') AS permit_number, name AS entity_name, credit_code, t AS food_business_type, boss AS legal_representative, address AS business_address, town AS town_code, CASE t WHEN '1' THEN '预包装食品销售；散装食品销售' ELSE '热食类食品制售；冷食类食品制售' END AS scope, county_name || '市场监督管理局' AS issuing_authority, ago(n(e,'fl',10,1700)) AS issued_on, ago(n(e,'fl',10,1700)) AS valid_from, ago(n(e,'fl',10,1700) - 1826) AS valid_to, moment(e, 'sf', n(e,'fl',10,1700)) AS update_time
      FROM (SELECT *, CASE WHEN section = 'H' THEN '2' ELSE '1' END AS t FROM shop WHERE word IN ('超市','便利店','水果店','饭店','面馆','快餐店','小吃店','海鲜经营部','粮油店') AND status = '1')""",
    )
    put(
        "scjg_equipment",
        """SELECT e * 10 + m AS _k, t || '3207' || lpad((e * 10 + m)::VARCHAR, 9, '0') AS equipment_number, t AS equipment_type, CASE t WHEN '3000' THEN '曳引驱动乘客电梯' WHEN '1000' THEN '承压蒸汽锅炉' WHEN '2000' THEN '固定式压力容器' WHEN '4000' THEN '桥式起重机' ELSE '叉车' END AS equipment_name, name AS user_name, credit_code, address, ago(n(e * 10 + m,'eq',5,380)) AS inspected_on, ago(n(e * 10 + m,'eq',5,380) - 365) AS next_inspection_on, county AS region_code
      FROM (SELECT *, pick(['3000','3000','3000','5000','2000','4000','1000'], e * 10 + m, 'eqt') AS t FROM firm, range(0, 3) r(m) WHERE u(e,'eqp') < .35 AND status = '1')""",
    )
    # --- 税务 ---
    put(
        "sws_taxpayers",
        f"""SELECT e AS _k, credit_code AS taxpayer_number, credit_code, name AS entity_name, boss AS legal_representative, CASE WHEN capital > 400 THEN '1' ELSE '2' END AS taxpayer_type, {bureau} AS tax_bureau, section AS industry_section, address AS business_address, founded + n(e,'txr',1,30)::INTEGER AS registered_on, CASE WHEN status = '4' THEN '3' ELSE status END AS status, CASE WHEN u(e,'tph') < .7 THEN phone ELSE landline(e,'tel2') END AS phone, moment(e, 'st', n(e,'stu',1,900)) AS update_time FROM firm
      UNION ALL SELECT 10000000 + e, credit_code, credit_code, name, boss, '2', {bureau}, section, address, founded + 15, status, boss_phone, moment(e, 'st2', n(e,'stu2',1,900)) FROM shop WHERE u(e,'tx') < .6""",
    )
    put(
        "sws_payments",
        f"""SELECT e * 100 + m * 4 + t AS _k, '332075' || lpad((e * 100 + m * 4 + t)::VARCHAR, 12, '0') AS record_number, credit_code AS taxpayer_number, name AS entity_name, ['01','09','11','04'][t + 1] AS tax_type, strftime(today() - to_months(m::INTEGER), '%Y%m') AS report_month, round(10 + pow(u(e * 100 + m * 4 + t,'tax'), 5) * capital::DOUBLE * 300, 2)::DECIMAL(17,2) AS tax_amount, least((date_trunc('month', today() - to_months((m - 1)::INTEGER)) + to_days(11))::DATE, ago(1)) AS paid_on, {bureau} AS tax_bureau,
      least((date_trunc('month', today() - to_months((m - 1)::INTEGER)) + to_days(12)), ago(1)::TIMESTAMP) + to_seconds(n(e,'txs',30000,60000)) AS update_time FROM firm, range(1, 7) r(m), range(0, 4) s(t) WHERE status = '1' AND (t < 3 OR m % 3 = 1) AND u(e * 100 + m * 4 + t,'pays') < .85""",
    )
    put(
        "sws_ratings",
        f"""SELECT e * 10 + y AS _k, credit_code, name AS entity_name, (year(today()) - y)::VARCHAR AS report_year, CASE WHEN sc >= 90 THEN 'A' WHEN sc >= 70 THEN 'B' WHEN sc >= 40 THEN 'C' ELSE 'D' END AS credit_rating, sc AS rating_score, {bureau} AS tax_bureau
      FROM (SELECT *, (35 + sqrt(u(e * 10 + y,'rat')) * 64)::DECIMAL(5,2) AS sc FROM firm, range(1, 3) r(y) WHERE status = '1' AND year(founded) <= year(today()) - y)""",
    )
    # --- 交通 ---
    put(
        "jt_operators",
        """SELECT e AS _k, '苏交运管许可连字' || '3207' || lpad(e::VARCHAR, 8, '0') || '号' AS permit_number, name AS entity_name, credit_code, CASE WHEN section = 'G' THEN pick(['2','2','2','3'], e, 'jtb') WHEN section = 'O' THEN '4' ELSE pick(['1','5','6'], e, 'jtc') END AS transport_business, n(e,'jtn',1,90) AS vehicle_count, address, boss AS legal_representative, phone, ago(n(e,'jo',30,1400)) AS issued_on, ago(n(e,'jo',30,1400)) AS valid_from, ago(n(e,'jo',30,1400) - 1461) AS valid_to, county_name || '交通运输局' AS issuing_authority
      FROM firm WHERE (section IN ('G','O') OR u(e,'jtx') < .02) AND status = '1'""",
    )
    put(
        "jt_practitioners",
        """SELECT i AS _k, '3207' || lpad((i * 7)::VARCHAR, 15, '0') AS licence_number, id AS citizen_number, name, pick(['02','02','02','01','03','04','06','07','08'], i, 'jq') AS qualification_type, ago(n(i,'jp',30,2000)) AS issued_on, ago(n(i,'jp',30,2000) - 2191) AS valid_to, job.unit AS work_unit, phone FROM person LEFT JOIN job USING (i) WHERE age BETWEEN 21 AND 60 AND NOT dead AND u(i,'drv') < .48 AND u(i,'jtp') < .06""",
    )
    # --- 生态环境 ---
    put(
        "sthj_permits",
        f"""SELECT e AS _k, credit_code || '001' || CASE lv WHEN '1' THEN 'P' WHEN '2' THEN 'Q' ELSE 'X' END AS permit_number, name AS entity_name, credit_code, lv AS pollution_level, industry AS industry_code, address AS business_address, ago(n(e,'sp',20,1700)) AS issued_on, ago(n(e,'sp',20,1700)) AS valid_from, ago(n(e,'sp',20,1700) - 1826) AS valid_to, '{name["sthj"]}' AS issuing_authority, lon::DECIMAL(10,6) AS longitude, lat::DECIMAL(9,6) AS latitude
      FROM (SELECT *, pick(['1','2','2','3','3','3'], e, 'spl') AS lv FROM firm WHERE section IN ('C','D') AND status = '1')""",
    )
    put(
        "sthj_air",
        """SELECT s * 10000 + d AS _k, '3207' || lpad(s::VARCHAR, 3, '0') || 'A' AS station_code, ['市环境监测站','德源药业','核电专家村','胡沟管委会','连云港港','赣榆青口','东海牛山','灌云伊山','灌南新安'][s] AS station_name, ago(d) AS monitored_on, aqi, CASE WHEN aqi <= 50 THEN '1' WHEN aqi <= 100 THEN '2' WHEN aqi <= 150 THEN '3' WHEN aqi <= 200 THEN '4' ELSE '5' END AS air_grade,
      round(aqi * .42, 2)::DECIMAL(8,2) AS pm25, round(aqi * .78, 2)::DECIMAL(8,2) AS pm10, round(5 + u(s * 10000 + d,'so') * 9, 2)::DECIMAL(8,2) AS so2, round(10 + u(s * 10000 + d,'no') * 35, 2)::DECIMAL(8,2) AS no2, round(50 + u(s * 10000 + d,'o3') * 110, 2)::DECIMAL(8,2) AS o3
      FROM (SELECT *, (38 + 30 * cos((dayofyear(ago(d)) - 15) / 58.1) + u(s * 10000 + d,'aq') * 70)::BIGINT AS aqi FROM range(1, 10) a(s), range(1, 366) b(d))""",
    )
    # --- 农业、文旅、应急 ---
    put(
        "ny_subsidies",
        """SELECT i AS _k, id AS citizen_number, name, year(today())::VARCHAR AS report_year, mu AS farmland_area, 120.00::DECIMAL(10,2) AS standard, round(mu * 120, 2)::DECIMAL(10,2) AS subsidy_amount, bank(i,'nb') AS bank_account, code AS village_code, make_date(year(today())::INTEGER, 6, 20) AS paid_on FROM (SELECT *, round(1 + u(i,'mu') * 11, 2)::DECIMAL(8,2) AS mu FROM person WHERE kind = 'R' AND pos = 1 AND NOT urban AND NOT dead AND u(i,'farm') < .8)""",
    )
    put(
        "ny_cooperatives",
        """SELECT e AS _k, s || credit_check(s) AS credit_code, county_name || town_name || nm || '专业合作社' AS entity_name, boss AS legal_representative, n(e,'nym',5,180) AS members, round(20 + u(e,'nyc') * 500)::DECIMAL(17,4) AS registered_capital, nm AS main_product, '江苏省连云港市' || county_name || town_name || village_name AS address, town AS town_code, founded AS founded_on, '1' AS entity_status
      FROM (SELECT *, '93' || county || 'MN' || (700000 + e)::VARCHAR || org_check((700000 + e)::VARCHAR) AS s, pick(['水稻种植','草莓种植','葡萄种植','蓝莓种植','花卉种植','淮猪养殖','蛋鸭养殖','对虾养殖','农机服务','蔬菜种植','樱桃种植','食用菌种植'], e, 'nyn') AS nm FROM firm WHERE e % 6 = 3 AND NOT urban)""",
    )
    put(
        "scjg_credit_codes",
        " UNION ALL ".join(
            f"SELECT r._k * 10 + {n} AS _k, r.credit_code, r.entity_name, '{name[by]}' AS registration_department, r.legal_representative, f.boss_id AS legal_rep_number FROM ({q[of]}) r JOIN firm f ON f.e = r._k"
            for n, (of, by) in enumerate(
                (("bb_institutions", "bb"), ("mz_social_orgs", "mz"), ("ny_cooperatives", "scjg"))
            )
        ),
    )
    put(
        "wl_venues",
        """SELECT v AS _k, 'CG' || code AS record_number, CASE WHEN ty = '综合文化站' THEN town_name || ty WHEN ty = '农家书屋' THEN village_name || ty ELSE county_name || ty || CASE WHEN v % 3 = 0 THEN '分馆' ELSE '' END END AS facility_name, ty AS facility_type, '江苏省连云港市' || county_name || town_name || village_name AS address, town AS town_code, '周二至周日 9:00-17:00' AS opening_hours, n(v,'wlc',40,1500) AS capacity, landline(v,'wlt') AS phone, lon::DECIMAL(10,6) AS longitude, lat::DECIMAL(9,6) AS latitude, '1' AS free
      FROM (SELECT *, pick(['农家书屋','农家书屋','综合文化站','图书馆','文化馆','博物馆','美术馆'], v, 'wly') AS ty FROM (SELECT *, name AS village_name FROM village) WHERE v % 6 = 0)""",
    )
    put(
        "yj_chemical_permits",
        f"""SELECT e AS _k, '苏连危化经字' || lpad(e::VARCHAR, 6, '0') AS permit_number, name AS entity_name, credit_code, boss AS legal_representative, pick({literal(words.CHEMICALS)}, e, 'yc') AS chemical_name, pick(['1','2','2','3'], e, 'ycs') AS storage_mode, address AS business_address, ago(n(e,'ycp',20,1000)) AS valid_from, ago(n(e,'ycp',20,1000) - 1095) AS valid_to, '{name["yj"]}' AS issuing_authority FROM firm WHERE (word IN ('化工','能源') OR u(e,'ycx') < .03) AND status = '1'""",
    )
    put(
        "yj_shelters",
        """SELECT v AS _k, 'BN' || code AS record_number, village_name || pick(['小学','广场','公园','体育场','中学'], v, 'ysn') || '应急避难场所' AS facility_name, pick(['室外场地型','室内场所型','综合型'], v, 'yst') AS facility_type, '江苏省连云港市' || county_name || town_name || village_name AS address, town AS town_code, round(800 + u(v,'ysa') * 30000, 2)::DECIMAL(12,2) AS area, n(v,'ysc',200,9000) AS capacity, lon::DECIMAL(10,6) AS longitude, lat::DECIMAL(9,6) AS latitude, surname(v,'ysm') || given(v,'m_mid') AS manager, phone(v,'ysp') AS phone FROM (SELECT *, name AS village_name FROM village WHERE v % 11 = 5)""",
    )
    # --- 信用、科技、群团 ---
    put(
        "fg_permits",
        f"""SELECT e * 10 + m AS _k, '连' || ['食药','环','交运','建','卫','水','房','应急','税','城管'][k1] || '许〔' || year(ago(n(e * 10 + m,'fp',2,700)))::VARCHAR || '〕第' || (e * 10 + m)::VARCHAR || '号' AS document_number, name AS party_name, '1' AS party_type, credit_code, boss AS legal_representative, {permit["name"]}[k1] AS permit_name, {permit["type"]}[k1] AS permit_type, {permit["content"]}[k1] AS permit_content, ago(n(e * 10 + m,'fp',2,700)) AS decided_on, ago(n(e * 10 + m,'fp',2,700)) AS valid_from, ago(n(e * 10 + m,'fp',2,700) - 1826) AS valid_to, {permit["org"]}[k1] AS deciding_authority, {permit["code"]}[k1] AS deciding_authority_code, moment(e * 10 + m, 'fp', n(e * 10 + m,'fp',2,700)) AS update_time
      FROM (SELECT *, n(e * 10 + m,'fpk',1,{len(words.PERMITS)}) AS k1 FROM firm, range(0, 3) r(m) WHERE status = '1' AND u(e * 10 + m,'fpx') < .5)""",
    )
    put(
        "fg_penalties",
        f"""SELECT e AS _k, '连' || ['市监','环','市监','交','建','应急','市监','税','城管','消'][k1] || '罚〔' || year(ago(n(e,'fy',2,900)))::VARCHAR || '〕' || e::VARCHAR || '号' AS document_number, name AS party_name, '1' AS party_type, credit_code, boss AS legal_representative, {penalty["type"]}[k1] AS penalty_type, {penalty["fact"]}[k1] AS penalty_fact, {penalty["basis"]}[k1] AS penalty_basis, CASE WHEN {penalty["type"]}[k1] IN ('03','04') THEN round(.05 + pow(u(e,'fyf'), 4) * 30, 6)::DECIMAL(12,6) END AS fine_amount, ago(n(e,'fy',2,900)) AS decided_on, ago(n(e,'fy',2,900) - 365) AS published_until, {penalty["org"]}[k1] AS deciding_authority, {penalty["code"]}[k1] AS deciding_authority_code, moment(e, 'fy', n(e,'fy',2,900)) AS update_time
      FROM (SELECT *, n(e,'fyk',1,{len(words.PENALTIES)}) AS k1 FROM firm WHERE u(e,'fyx') < .12)""",
    )
    put(
        "kj_high_tech",
        f"""SELECT e AS _k, 'GR' || year(ago(730))::VARCHAR || '3200' || lpad(e::VARCHAR, 4, '0') AS licence_number, name AS entity_name, credit_code, pick({literal(words.FIELDS)}, e, 'kf') AS technology_field, county AS region_code, ago(760 + n(e,'kh',0,300)) AS issued_on, ago(760 + n(e,'kh',0,300) - 1095) AS valid_to FROM firm WHERE section IN ('C','I','M','N') AND founded < ago(1200) AND u(e,'ht') < .25""",
    )
    put(
        "tsw_volunteers",
        """SELECT i AS _k, id AS citizen_number, name, sex, CASE WHEN age < 28 THEN '03' ELSE pick(['01','13','13'], i, 'tv') END AS politics, round(pow(u(i,'vh'), 3) * 600, 1)::DECIMAL(8,1) AS service_hours, ago(n(i,'vr',20,2500)) AS registered_on, phone, 'mn' || i::VARCHAR || '@example.cn' AS email, county_name || pick(['青年志愿者协会','蓝天救援队','义工联合会'], i, 'vo') AS organisation FROM person WHERE age BETWEEN 16 AND 65 AND NOT dead AND u(i,'vol') < .08""",
    )
    return q


SCHOOLS = """CREATE TABLE school AS SELECT k, '3207' || lpad((k * 17)::VARCHAR, 6, '0') AS sc, v.county, v.county_name, v.town, v.town_name, ty, n(k,'scs', 120, 2600) AS st,
  CASE ty WHEN '211' THEN replace(replace(v.town_name, '街道', ''), '镇', '') || pick(['中心小学','实验小学','第二小学'], k, 'scw') WHEN '111' THEN v.name || '幼儿园' WHEN '311' THEN replace(replace(v.town_name, '街道', ''), '镇', '') || '初级中学' ELSE v.county_name || pick(['高级中学','第一中学','外国语学校'], k, 'sch') END AS nm
  FROM (SELECT v + 1 AS k, v, CASE v % 12 WHEN 0 THEN '311' WHEN 3 THEN '211' WHEN 5 THEN '211' WHEN 7 THEN '111' WHEN 9 THEN CASE WHEN v % 5 < 2 THEN '342' ELSE '111' END END AS ty FROM village) x
  JOIN village v USING (v) WHERE x.ty IS NOT NULL ORDER BY k"""
