"""Names in Latin letters, and words that look like them. Brackets mark the expected persons: Ask [Deborah] about it."""

import pytest
from marked_texts import without_marks

from security_common.pii import PIIKind, get_pii_detector

ROMANIZED_KOREAN = [
    "name: [PARK SEUNGMIN]",
    "Name: [KIM MIN SU]",
    "full name: [Choi Hye-jin]",
    "passenger: [LEE JIHOON]",
    "Please call [Seung-min Park] tomorrow",
    "[Park Seung-min] will attend",
    "[Minsu Kim] sent the file",
    "[Lee, Seo-yeon]",
    "[Hong Gil Dong] signed the form",
    "[JUNG HYEWON] / Designer",
    "Ms. [Park Ji-min] will attend",
    "Reviewed by [Kang Dae-hyun]",
    "[Yoon Seo-jun], 32, Incheon",
    "holder: [Hwang Bora]",
    "cardholder: [An Ji-woo]",
]
OTHER_COUNTRIES = [
    "[Nguyen Thi Lan] arrived today",
    "[Nguyễn Văn Minh] signed",
    "[Tran Van Duc], passport",
    "[Wang Xiaoming] called",
    "[Xiaoming Zhang] replied",
    "[Zhang Wei] asked for leave",
    "[Batbold Ganbaatar] moved out",
    "[Enkhtuya] called twice",
    "[Somchai Jaidee] paid",
    "[Maria Santos] renewed her visa",
    "[Dilnoza Karimova] left a note",
    "[Ram Bahadur Thapa] lives here",
    "[Haruka Tanaka] wrote back",
    "[Tanaka Haruka] wrote back",
    "[Siti Rahayu] joined",
    "[Rajesh Kumar] approved it",
    "[Priya Sharma] and [Anil Mehta] met",
    "[Anastasiya Petrova] reported it",
    "[Rafael Mbeki] is on leave",
    "[Lotte Vink], [Peter Hallam] and [Grace Odell] attended",
    "debtor [Anneke de Vries], account",
    "[Ludwig van der Berg] ordered",
    "[José García] se fue",
]
IN_PROSE = [
    "Ask [Deborah] about it",
    "toll free 1-800-555-0199, ask for [Danielle]",
    "did [Amara] send you the slides?",
    "I spoke to [Priyanka] yesterday",
    "[Kenji]'s laptop is broken",
    "Can [Nathalie] join the call?",
    "the ticket was closed by [Matthias].",
    "Hi [Jennifer], thanks",
    "Thanks, [Stephanie]",
    "Ask [Mark] about it",
    "[Grace] said no",
    "Dear [Jordan],",
    "We told [Chelsea] on Friday",
    "My name is [Zdravko Puljak]",
    "call [J. Smith] back",
    "see [Smith, J.] for details",
    "[Sarah O'Connor] paid",
    "[Ruby Tennant] SSN 213-42-8667",
    "recipient: [Edwin Castle]",
    "first name: [Zdravko]",
    "patient: [Zdravko Puljak]",
]
IN_LETTERS = [
    "Called Ms [Vandermeer] re arrears",
    "Mr [Kit Farrow] will attend",
    "her grandson [Tunde] collects prescriptions",
    "my mum [Bridie O'Dowd], and my daughter [Posy]",
    "the buyer [Elliot Marchand] signed",
    "tenant: hey it's [Zaid] from 5A",
    "This is [Rory], I'm ringing about the flat",
    "I, [Cordelia Jane Umbridge-Shaw], of Oxford",
    "/s/ [Quincy Aldous]",
    "See you there.\n\nCheers,\n[Tam]",
    "Kind regards\n[Jarek Wrona]\nSupport",
    "[Reyes, Camila J.]",
    "[Whitaker, Joanne]",
]
USERNAMES = [
    "audit user=[priya.raman] action=EXPORT",
    "PR #812 by [jaehyuk.hwang]: fix address parser",
    '{"userId":"[soyul.bae]","ok":true}',
    "login: [owen.mcallister]",
    "author: [minsu-kim]",
    "[jihoon_park]",
]
OTHER_WORDS = [
    "spouse SSN is missing",
    "the patient Portal is down",
    "customer Support team",
    "Thanks,\nThe Support Team",
    "The Taylor Room seats 40",
    "The Rose Ward is full",
    "Dr. Service is a repair shop",
    "London, Paris",
    "config.json",
    "user=app.service",
    "by example.com",
    "login: data_loader",
    "user admin_user",
    "user=no-reply",
    "min.size",
    '{"iban_to": 1, "by": "x"}',
    "Set Max Connections to 200 and restart.",
    "Spring Boot and Jackson are on the classpath.",
    "Mark Positioning",
    "Julia File",
    "Ruby Notation Forms",
    "Recent Files Max Age",
    "MS SQL Server",
    "in May we ship, in June we rest",
    "Will it work? May I ask?",
    "Paris, Austin and Charlotte are cities",
    "the Chelsea store opens at 9",
    "Jordan and Israel signed a treaty",
    "name: Blue Ocean",
    "name: Front Page",
    "name: PAYMENT GATEWAY",
    "name: Data Pipeline",
    "owner: Platform Team",
    "author: System Administrator",
    "Grace Period: 30 days",
    "Hope Street Station",
    "Rose Garden Hotel",
    "Bill Payment Service",
    "Lily Pad Theme",
    "Amber Alert",
    "Crystal Reports",
    "April Release Notes",
    "Summer Sale",
    "Django Admin",
    "Jade Template Engine",
    "def Summarize(Text): return Text",
    "import Daniel.Config",
    "/home/Deborah/files",
    "node_Deborah_01",
    "Deborah=1",
    "Karen languages",
    "Lucas prime test",
    "San Diego and Santa Barbara",
    "Kim Chi Soup",
    "In Seoul and In Busan",
    "Namsan Park",
    "No Data",
    "Go Home",
    "Min Size, Max Size",
    "Hong Kong",
    "Han River",
    "Execute COMMAND asynchronously",
    "Using ASCII as fallback",
    "Fully Qualified Domain Name",
    "Monday Morning Meeting",
    "North Carolina State University",
    "Dr. Service",
    "Sunny Day Cafe",
    "Dean Office",
]


def persons(text: str) -> list[str]:
    found = get_pii_detector().scan_text(text)
    return [text[finding.start : finding.end] for finding in found if finding.kind == PIIKind.PERSON]


@pytest.mark.parametrize("marked", ROMANIZED_KOREAN + OTHER_COUNTRIES + IN_PROSE + IN_LETTERS + USERNAMES)
def test_names_in_latin_letters_are_found(marked: str) -> None:
    text, expected = without_marks(marked)

    assert persons(text) == expected


@pytest.mark.parametrize("text", OTHER_WORDS)
def test_other_words_with_capitals_are_not_names(text: str) -> None:
    assert persons(text) == []
