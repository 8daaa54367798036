"""Names of fields: Korea's standard terms for public data, English, Korean, abbreviations, in every way of writing."""

import pytest

from security_common.pii import get_pii_detector
from security_common.pii.field_names import MAX_NAME_LENGTH, meaning_of_name, words_of_name

KINDS = {
    "EMAIL": """
        email eml_addr emailAddress e-mail user.email EMAIL_ADDR 이메일 이메일주소 담당자이메일
        contactEmail2 emails eml
    """,
    "PHONE": """
        tel telno TEL_NO mblphon_no MBL_TELNO mblPhonNo mob mobile_no phoneHome phone_1 homeTel
        customerPhoneNumber custtel hp_no fxno 휴대폰번호1 신청인_연락처 담당자연락처 비상연락망
        자택전화 연락처(휴대폰) phones contact-no
    """,
    "KR_RRN": """
        rrno RRN ihidnum jumin_no juminNo residentRegistrationNumber frno 주민등록번호
        신청인주민번호 주민번호 외국인등록번호
    """,
    "CREDIT_CARD": "cardNo card_number CREDIT_CARD_NO cardNum2 카드번호 결제카드번호",
    "PASSPORT": "pspt_no passportNo PSPRT_NO 여권번호 passport_number",
    "DRIVER_LICENSE": "drvr_lcns_no driverLicenseNo dl_no 운전면허번호 면허번호",
    "BUSINESS_NUMBER": "bzno brno BIZ_NO bizRegNo 사업자등록번호 공급자사업자등록번호",
    "CORP_NUMBER": "crno corp_no jurirno 법인등록번호",
    "BANK_ACCOUNT": "acnt_no acctNo account_number bankAccountNo refund_account 계좌번호 환불계좌번호 acct",
    "VEHICLE_PLATE": "vhclno vhcl_no carNo license_plate plateNumber 차량번호",
    "CUSTOMS_CODE": "pccc customs_code 개인통관고유부호",
    "PERSON": """
        flnm fullName CSTMR_NM cust_nm 성명 보호자성명 신청인_성명 보호자이름 rprsv_nm picNm
        contactName first_name 예금주명 담당자
    """,
    "ADDRESS": """
        addr addr1 address_line_2 rdnm_addr lotnoAddr daddr shippingAddress 주소 상세주소
        신청인주소 custAddr
    """,
    "DATE_OF_BIRTH": "brdt dob birthDate BRTH_YMD 생년월일 보호자생년월일 생년월일(YYMMDD)",
    "SECRET": """
        pw pwd passwd user_pw DB_PASSWORD apiKey client_secret access_token 비밀번호
        관리자비밀번호
    """,
    "OTHER": """
        id campaignId acct_code orderNo trackingNumber createdAt epoch account_id email_sent_at
        phoneVerified order_count 주문번호 접수번호 고객번호 등록일시 total_amount token_type
        next_page_token sku version
    """,
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in KINDS.items() for name in names.split()])
def test_a_name_says_what_the_value_is(kind: str, name: str) -> None:
    assert meaning_of_name(name).kind == kind


@pytest.mark.parametrize(
    "name", ["", "memo", "note", "text", "title", "deposit", "hotel", "battel", "contents", "비고", "---", "x" * 500]
)
def test_a_name_without_a_meaning_has_no_kind(name: str) -> None:
    assert meaning_of_name(name).kind == ""


@pytest.mark.parametrize("name", ["bucketName", "queue_name", "강좌명", "dept_nm", "roleName", "플레이리스트명"])
def test_the_name_of_a_thing_is_recognized(name: str) -> None:
    assert meaning_of_name(name).names_thing


ROLES = """
    consigneeName cnee_nm shprNm hshldrNm rqst_psn_nm lessor_nm paxName stu_nm pt_nm rgtr_nm mdfrNm courseInstructorNm
    매도인 매수인명 보험수익자 피보험자성명 후견인 담임명 운전자명 세대주이름 수하인 landlord requester claimant
"""


@pytest.mark.parametrize("name", ROLES.split())
def test_a_role_is_the_field_of_a_person(name: str) -> None:
    assert meaning_of_name(name).kind == "PERSON"


@pytest.mark.parametrize(
    "name", ["companyNm", "deptNmKr", "ordNm", "wardNm", "상품명1", "courseNm", "instructorCourseNm"]
)
def test_the_name_of_a_thing_is_not_that_of_its_owner(name: str) -> None:
    meaning = meaning_of_name(name)

    assert meaning.names_thing or meaning.kind == "OTHER"


@pytest.mark.parametrize("name", ["alphaName", "xyz_nm", "펭귄이름"])
def test_a_name_of_something_unknown_is_searched_without_a_label(name: str) -> None:
    assert meaning_of_name(name).is_unclear
    assert [each.kind.value for each in get_pii_detector().scan_text("홍길동", field_name=name)] == ["PERSON"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mblPhonNo", ["mbl", "phon", "no"]),
        ("MBL_PHON_NO", ["mbl", "phon", "no"]),
        ("mbl-phon.no", ["mbl", "phon", "no"]),
        ("HTTPServerIP", ["http", "server", "ip"]),
        ("휴대폰번호1", ["휴대폰번호", "1"]),
        ("phone (required)", ["phone"]),
        ("(phone)", ["phone"]),
    ],
)
def test_a_name_is_split_into_words(name: str, words: list[str]) -> None:
    assert words_of_name(name) == words


def test_only_the_beginning_of_a_long_name_is_read() -> None:
    assert meaning_of_name("phone" + " " * MAX_NAME_LENGTH + "order id") == meaning_of_name(
        "phone" + " " * (MAX_NAME_LENGTH - 5)
    )
